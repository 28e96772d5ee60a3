"""Addresses in header fields of e-mails, as people and programs really write them.

Source: RFC 5322, 3.4 (lists of addresses, groups, comments), RFC 6532 (the same in UTF-8), RFC 2047
(encoded words). Nothing here raises. The functions of `email.utils` for this give other results
from one release of Python to the next: some refuse all of a field that names several senders.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.errors import MessageError
from email.header import decode_header, make_header
from typing import NamedTuple

#: Longest address with the name before it.
ADDRESS_LENGTH = 2048
#: A longer header is cut before it is parsed.
LONGEST = 16_384
_MOST_ADDRESSES = 50
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_TOKEN = re.compile(
    rf"{_QUOTED}|\((?:[^()\\]|\\.)*\)|<(?:{_QUOTED}|[^<>\"])*>|[,;:]|[^\"(<,;:]+|.", re.DOTALL
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_WORD = r"=\?[^?\s]+\?[QqBb]\?[^?]*\?="
_WORDS = re.compile(rf"{_WORD}(?:\s+{_WORD})*")


class Mailbox(NamedTuple):
    """An address, and the name that is given with it, '' if there is none."""

    name: str
    address: str


def address(text: str | None) -> str | None:
    """Return the first address in a header or a list: `Ada <ada@example.com>`, or bare.

    None for a text that is far too long for one.
    """
    if not text or len(text) > ADDRESS_LENGTH:
        return None
    return next((one.address for one in mailboxes(text)), None)


def mailboxes(text: str) -> list[Mailbox]:
    """Return all mailboxes in a header, those in groups too, in their order.

    The list is separated by commas, or by semicolons as some programs do.
    """
    text = text[:LONGEST]
    found = list(_mailboxes(text))
    if not found and "=?" in text:
        # Some programs encode the whole field with the address in it.
        found = list(_mailboxes(decoded(text)))
    return found[:_MOST_ADDRESSES]


def decoded(text: str) -> str:
    """Return a header with its encoded words as text; those that cannot be decoded as they are."""
    return _WORDS.sub(lambda words: _decoded_words(words[0]), text)


def whole(text: str) -> str:
    """Return text without lone surrogates: bytes without a named charset are mostly UTF-8."""
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()


def decoded_text(data: bytes, charset: str) -> str:
    """Return bytes in a charset that a stranger named as text."""
    try:
        return whole(data.decode(charset, "replace"))
    except (LookupError, ValueError):
        return data.decode("utf-8", "replace")


def _decoded_words(words: str) -> str:
    try:
        return whole(str(make_header(decode_header(words))))
    except (ValueError, LookupError, MessageError):
        return words


def _mailboxes(text: str) -> Iterator[Mailbox]:
    words: list[str] = []
    comment = ""
    for part in [*_TOKEN.findall(text), ","]:
        if part in (",", ";"):
            yield from _mailbox(words, comment)
            words, comment = [], ""
        elif part == ":":
            words = []  # the name of a group
        elif part.startswith("(") and part.endswith(")"):
            comment = part[1:-1]
        else:
            words.append(part)


def _mailbox(words: list[str], comment: str) -> Iterator[Mailbox]:
    """Yield the mailbox that the words between two separators name, if they do."""
    angles = [word for word in words if word.startswith("<") and word.endswith(">")]
    if angles:
        names = [word for word in words if word not in angles]
        # Before a colon in it are hosts on the way.
        found = angles[-1][1:-1].rpartition(":")[2].strip()
    else:
        names = []
        found = _bare("".join(words))
    local, at, domain = found.rpartition("@")
    if at and local and domain:
        name = "".join(_unquoted(word) for word in names).strip() or comment.strip()
        yield Mailbox(decoded(name), decoded(found))


def _bare(text: str) -> str:
    """Return the address in a text without angle brackets; a local part may be in quotes."""
    if text.strip().startswith('"'):
        return text.strip()
    return next((word for word in reversed(text.split()) if "@" in word), "")


def _unquoted(word: str) -> str:
    return _ESCAPED.sub(r"\1", word[1:-1]) if word.startswith('"') and len(word) > 1 else word
