"""The receivers that a report about an e-mail names.

Source: RFC 3464 and RFC 6533 (delivery status, also of addresses in UTF-8), RFC 5965 (reports of
abuse), RFC 8098 (a message was displayed). Nothing here raises.
"""

from __future__ import annotations

import base64
import quopri
import re
from collections.abc import Callable, Iterable, Iterator
from email import message_from_bytes, message_from_string
from email.message import Message
from email.policy import Compat32
from typing import NamedTuple
from urllib.parse import unquote

from ingest.kit.mail_addresses import LONGEST, address, whole

DELIVERY_STATUS = "delivery-status"
FEEDBACK = "feedback-report"
DISPOSITION = "disposition-notification"


class Unchanged(Compat32):
    """The policy of a parser that leaves header fields in UTF-8 as they are (RFC 6532)."""

    def header_fetch_parse(self, name: str, value: str) -> str:
        """Return the value; what is not UTF-8 in it is replaced."""
        return whole(value)


UNCHANGED = Unchanged()
_BLANK_LINE = re.compile(r"(?:\r?\n){2,}")
_CODE_POINT = re.compile(r"\\x\{([0-9A-Fa-f]{2,6})\}")


class Receiver(NamedTuple):
    """A receiver in a report: the address, what happened (RFC 3464's action) and the status code,
    each '' if the report does not state it.

    It is the address that the message was written to: where that forwards mails and the next
    address refused one, the report names both. What a report says of a disposition comes as the
    action too, for instance `displayed`.
    """

    address: str
    action: str = ""
    status: str = ""


def report_kind(content_type: str) -> str | None:
    """Return the kind of report that a part with this media type is (RFC 6522); None if none.

    Those of RFC 6533, whose names begin with global-, are the same kinds.
    """
    main, _, subtype = content_type.partition(";")[0].strip().lower().partition("/")
    kind = subtype.removeprefix("global-")
    return kind if main == "message" and kind in _READERS else None


def report_part(media_type: str, content: bytes) -> Message | None:
    """Return a part of a mail that a provider took apart, if it is a report."""
    if report_kind(media_type) is None:
        return None
    head = b"Content-Type: %s\r\n\r\n" % media_type.encode("ascii", "replace")
    return message_from_bytes(head + content, policy=UNCHANGED)


def receivers(parts: Iterable[Message]) -> Iterator[Receiver]:
    """Yield the receivers that the parts of a report name, each once."""
    found: dict[Receiver, None] = {}
    for part in parts:
        if (kind := report_kind(part.get_content_type())) is not None:
            for block in _blocks(part):
                found.update(dict.fromkeys(_READERS[kind](block)))
    yield from found


def _status(block: Message) -> Iterator[Receiver]:
    if named := _written_to(block):
        yield Receiver(named, _header(block, "Action").lower(), _header(block, "Status"))


def _complaint(block: Message) -> Iterator[Receiver]:
    for name in ("Original-Rcpt-To", "Removal-Recipient"):
        if named := address(_header(block, name)):
            yield Receiver(named, "complained")
            return


def _disposition(block: Message) -> Iterator[Receiver]:
    # `manual-action/MDN-sent-manually; displayed/error`
    said = _header(block, "Disposition").rpartition(";")[2].partition("/")[0]
    if named := _written_to(block):
        yield Receiver(named, said.strip().lower())


def _written_to(block: Message) -> str | None:
    """Return the address that the message was written to, which may forward to the final one."""
    written, final = _typed(block, "Original-Recipient"), _typed(block, "Final-Recipient")
    if written is None or (final is not None and written.lower() == final.lower()):
        return final
    return written


_READERS: dict[str, Callable[[Message], Iterator[Receiver]]] = {
    DELIVERY_STATUS: _status,
    FEEDBACK: _complaint,
    DISPOSITION: _disposition,
}


def _blocks(part: Message) -> Iterator[Message]:
    """Yield the groups of fields of a report, which blank lines separate."""
    for block in _BLANK_LINE.split(report_text(part)):
        if block.strip():
            yield message_from_string(block, policy=UNCHANGED)


def report_text(part: Message) -> str:
    """Return the contents of a part that is a report."""
    if not part.is_multipart():
        return whole(_text(part))
    return whole(_transfer_decoded("\n\n".join(map(_text, _below(part))), part))


def _text(part: Message) -> str:
    """Return a part as it was written; the parser takes the contents of reports for messages."""
    if part.is_multipart():
        body = "\n".join(map(_text, _below(part)))
    else:
        data = part.get_payload(decode=True)
        body = data.decode("utf-8", "surrogateescape") if isinstance(data, bytes) else ""
    return "".join(f"{name}: {value}\n" for name, value in part.items()) + "\n" + body


def _below(part: Message) -> list[Message]:
    payload = part.get_payload()
    return [one for one in payload if isinstance(one, Message)] if isinstance(payload, list) else []


def _transfer_decoded(text: str, part: Message) -> str:
    """Return the contents of a part; reports in UTF-8 may be encoded for servers without it."""
    encoding = str(part.get("Content-Transfer-Encoding", "")).strip().lower()
    data = text.encode("utf-8", "surrogateescape")
    try:
        if encoding == "base64":
            data = base64.b64decode(data)
        elif encoding == "quoted-printable":
            data = quopri.decodestring(data)
    except ValueError:
        return text
    return data.decode("utf-8", "surrogateescape")


def _typed(block: Message, name: str) -> str | None:
    """Return the address of a field such as `rfc822; ada@example.com`, `utf-8; ada\\x{E4}@…`."""
    kind, between, value = _header(block, name).partition(";")
    if not between:
        kind, value = "", kind
    value = value.strip()
    if kind.strip().lower() == "utf-8":
        value = _CODE_POINT.sub(_character, value)
    elif "@" not in value and "+40" in value:
        # The whole in xtext (RFC 3461), as an @ needs none in it.
        value = unquote(value.replace("%", "%25").replace("+", "%"))
    return address(value)


def _character(found: re.Match[str]) -> str:
    number = int(found[1], 16)
    return chr(number) if number <= 0x10FFFF and not 0xD800 <= number < 0xE000 else found[0]


def _header(block: Message, name: str) -> str:
    return " ".join(str(block.get(name, ""))[:LONGEST].split())
