"""Masking of a source's secrets in what is kept of a refusal.

Some senders write their key into each event (Segment's `writeKey`, a token in a form), and what is
refused is kept for people to read. A replay needs no key: what it reads was verified before.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from urllib.parse import quote, quote_plus

MASK = b"***"
#: A shorter secret is masked only where it is a whole value: it may be a part of many words.
_LONG = 8


def masked(content: bytes, secrets: tuple[bytes, ...]) -> bytes:
    """Return the content with a mask in the place of each secret, in JSON and in forms too."""
    return _pattern(secrets).sub(MASK, content) if secrets else content


@lru_cache(maxsize=1024)
def _pattern(secrets: tuple[bytes, ...]) -> re.Pattern[bytes]:
    spellings = {one for secret in secrets for one in _spellings(secret)}
    longest_first = sorted(spellings, key=lambda one: (-len(one), one))
    return re.compile(b"|".join(map(_found, longest_first)))


def _spellings(secret: bytes) -> set[bytes]:
    text = secret.decode("utf-8", "replace")
    in_json = (json.dumps(text, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False))
    in_forms = (quote(text, safe=""), quote_plus(text))
    return {secret, *(one.encode() for one in (*in_json, *in_forms))}


def _found(spelling: bytes) -> bytes:
    literal = re.escape(spelling)
    if len(spelling) >= _LONG:
        return literal
    return rb'(?:(?<=")%b(?="(?!\s*:))|(?<==)%b(?=&|$))' % (literal, literal)
