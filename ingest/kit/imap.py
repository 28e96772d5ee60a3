"""Reading a mailbox over IMAP without changing it: EXAMINE, UID FETCH with BODY.PEEK.

Source: RFC 3501 (and 9051), RFC 5530 (response codes). Works over the standard library's imaplib,
in the caller's thread; every wait is bounded.
"""

from __future__ import annotations

import contextlib
import imaplib
import re
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self

from ingest.connector import NotNow

Tls = Literal["implicit", "starttls", "none"]
#: Timeout of each answer, seconds.
TIMEOUT_S = 60.0
#: Messages that are fetched at once.
FETCHED = 50
#: Numbers that are searched at once, so that the answer's line stays short (imaplib takes 1 MB).
_SEARCHED = 5_000
_MOST_SEARCHED = 2**26
_TOLD = "UID INTERNALDATE RFC822.SIZE"
_CODES = ("UIDVALIDITY", "UIDNEXT")
_NUMBER = re.compile(rb"\d+")
_UID = re.compile(rb"\bUID (\d+)")
_INTERNAL_DATE = re.compile(rb'\bINTERNALDATE "([^"]+)"')
_SIZE = re.compile(rb"\bRFC822\.SIZE (\d+)")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
#: Codes and words by which servers say that too much was asked of them.
_LIMITED = re.compile(
    r"\[(?:LIMIT|OVERQUOTA|INUSE|THROTTLED|UNAVAILABLE)\]|throttl|too many|rate.?limit|"
    r"bandwidth.?limit|backoff|try again later|temporarily",
    re.IGNORECASE,
)
#: Exchange's text that says how long to wait.
_BACKOFF = re.compile(r"backoff time: (\d+) milliseconds", re.IGNORECASE)
_LONGEST_BACKOFF_S = 86_400


class Fetched(NamedTuple):
    """A message: its number, size and day of arrival as the server states it, and its bytes."""

    uid: int
    size: int
    internal_date: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Account:
    """The address and the credentials of a mailbox."""

    host: str
    port: int
    tls: Tls
    username: str
    password: str
    ca_file: Path | None = None

    def __repr__(self) -> str:
        return f"Account({self.host})"


class Folder:
    """A folder, opened read-only; a context manager that logs out.

    Every method raises NotNow if the server cannot be reached or refuses.
    """

    def __init__(self, account: Account, name: str) -> None:
        """Connect and open the folder."""
        self._imap: Any = None
        with _answers("connecting"):
            self._imap = _connect(account)
        try:
            with _answers("LOGIN"):
                self._imap.login(account.username, account.password)
            with _answers("EXAMINE"):
                _done(self._imap.select(_quoted(name), readonly=True))
                # Read from untagged answers: EXAMINE's own answer is the number of messages.
                told = {code: self._imap.response(code)[1] for code in _CODES}
                if not any(told["UIDNEXT"]):
                    status = _done(self._imap.status(_quoted(name), "(UIDNEXT)"))
                    told["UIDNEXT"] = _NUMBER.findall(status[0] or b"")[-1:]
            self.uid_validity, self.uid_next = (_number(told[code], code) for code in _CODES)
        except BaseException:
            self.close()
            raise

    def uids(self, first: int, since: datetime | None = None) -> Iterator[list[int]]:
        """Yield the numbers from `first` on of the messages there now, some at a time, in order.

        `since`: only messages that came in on that day or later.
        """
        step = _SEARCHED
        while first < self.uid_next:
            last = min(first + step, self.uid_next) - 1
            criteria = ["UID", f"{first}:{last}"]
            if since is not None:
                criteria += ["SINCE", _day(since)]
            with _answers("SEARCH"):
                answer = _done(self._imap.uid("SEARCH", *criteria))
            found = sorted(int(uid) for line in answer if line for uid in line.split())
            # In IMAP a range beyond the last message stands for the last message.
            wanted = [uid for uid in found if first <= uid <= last]
            for start in range(0, len(wanted), FETCHED):
                yield wanted[start : start + FETCHED]
            first = last + 1
            # Numbers may be far apart.
            step = min(2 * step, _MOST_SEARCHED) if not wanted else _SEARCHED

    def headers(self, uids: Sequence[int], most: int) -> list[Fetched]:
        """Return the first `most` bytes of each message's headers, without deleted messages."""
        return self._fetch(uids, f"BODY.PEEK[HEADER]<0.{most}>")

    def messages(self, uids: Sequence[int], most: int) -> list[Fetched]:
        """Return the first `most` bytes of each whole message."""
        return self._fetch(uids, f"BODY.PEEK[]<0.{most}>")

    def _fetch(self, uids: Sequence[int], what: str) -> list[Fetched]:
        numbers = ",".join(map(str, uids))
        with _answers("FETCH"):
            answer = _done(self._imap.uid("FETCH", numbers, f"({_TOLD} {what})"))
        found = {one.uid: one for one in _fetched(answer)}
        return [found[uid] for uid in uids if uid in found]

    def close(self) -> None:
        """Log out, or hang up where that is not possible."""
        imap, self._imap = self._imap, None
        if imap is not None:
            with contextlib.suppress(OSError, imaplib.IMAP4.error):
                imap.logout()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _done(answer: tuple[str, list[Any]]) -> list[Any]:
    """Return the data of an answer. Raises if it is not OK: imaplib does not do so for NO."""
    status, data = answer
    if status != "OK":
        text = data[0] if data else b""
        raise imaplib.IMAP4.error(text.decode("utf-8", "replace") if text else status)
    return data


def _number(values: Sequence[bytes | None], code: str) -> int:
    if not values or values[0] is None:
        raise NotNow(f"the server does not say the {code} of the folder", cause="refused")
    return int(values[0])


def _connect(account: Account) -> imaplib.IMAP4:
    if account.tls == "none":
        return imaplib.IMAP4(account.host, account.port, timeout=TIMEOUT_S)
    context = ssl.create_default_context(cafile=account.ca_file)
    if account.tls == "implicit":
        return imaplib.IMAP4_SSL(account.host, account.port, ssl_context=context, timeout=TIMEOUT_S)
    imap = imaplib.IMAP4(account.host, account.port, timeout=TIMEOUT_S)
    imap.starttls(context)
    return imap


@contextlib.contextmanager
def _answers(what: str) -> Iterator[None]:
    """Turn errors into NotNow; the server's own text is left out, since it may hold names."""
    try:
        yield
    except imaplib.IMAP4.error as error:
        text = str(error)
        if _LIMITED.search(text):
            asked = _BACKOFF.search(text)
            wait_s = min(int(asked[1]) / 1000, _LONGEST_BACKOFF_S) if asked else None
            raise NotNow(f"a limit is reached ({what})", wait_s, "limited") from None
        if isinstance(error, imaplib.IMAP4.abort):
            raise NotNow(f"the connection was cut ({what})") from None
        raise NotNow(f"the server refused {what}", cause="refused") from None
    except UnicodeError:
        raise NotNow(f"only ASCII can be sent ({what})", cause="refused") from None
    except OSError as error:
        raise NotNow(f"not reachable: {type(error).__name__} ({what})") from None


def _fetched(answer: Sequence[Any]) -> Iterator[Fetched]:
    """Yield the messages in an answer to FETCH; the fields of one are before or after its bytes."""
    told, data = b"", None
    for part in [*answer, (b"", b"")]:
        if isinstance(part, tuple):
            if data is not None:
                yield from _one(told, data)
            told, data = part[0], part[1]
        elif part is not None:
            told += b" " + part


def _one(told: bytes, data: bytes) -> Iterator[Fetched]:
    uid, size, moment = _UID.search(told), _SIZE.search(told), _INTERNAL_DATE.search(told)
    if uid is not None:
        date = moment[1].decode("ascii", "replace").strip() if moment else ""
        yield Fetched(int(uid[1]), int(size[1]) if size else len(data), date, data)


def _quoted(name: str) -> str:
    """Return a folder's name in IMAP's own UTF-7 (RFC 3501 5.1.3), quoted."""
    text = "".join(_encoded(part) for part in re.findall(r"[ -~]+|[^ -~]+", name))
    return '"{}"'.format(text.replace("\\", "\\\\").replace('"', '\\"'))


def _encoded(part: str) -> str:
    if part.isascii() and part.isprintable():
        return part.replace("&", "&-")
    plain = part.encode("utf-7").decode("ascii")
    return "&" + plain.removeprefix("+").removesuffix("-").replace("/", ",") + "-"


def _day(moment: datetime) -> str:
    return f"{moment.day:02d}-{_MONTHS[moment.month - 1]}-{moment.year}"


def internal_moment(text: str) -> datetime | None:
    """Parse a server's date such as `20-Nov-2026 09:15:00 +0900`; None if it is not one."""
    try:
        day, month, rest = text.strip().split("-", 2)
        number = _MONTHS.index(month.title()) + 1
        return datetime.strptime(f"{day}-{number}-{rest}", "%d-%m-%Y %H:%M:%S %z")
    except ValueError:
        return None
