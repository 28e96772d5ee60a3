"""Tools that connectors share to authenticate a request: secrets, signatures and their age.

Nothing here raises, and comparisons take the same time whatever is shown.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable, Iterable
from typing import Annotated

from pydantic import AfterValidator

from ingest.connector import Request, Secrets, secrets
from schemas.times import DAY_MS

#: The encoding of a signature as text.
Encoding = Callable[[bytes], bytes]
BASE64: Encoding = base64.b64encode
HEX: Encoding = binascii.hexlify


def _not_empty(value: Secrets) -> Secrets:
    if not all(secrets(value)) or not secrets(value):
        raise ValueError("must not be empty")
    return value


#: One secret or several, none of them empty: everybody could use an empty one.
RequiredSecrets = Annotated[Secrets, AfterValidator(_not_empty)]


def is_one_of(shown: bytes, valid: tuple[bytes, ...]) -> bool:
    """Return True if a secret is a valid one; the time taken tells neither which, nor how much."""
    found = False
    for secret in valid:
        found |= hmac.compare_digest(shown, secret)
    return found


def is_hmac_of(
    content: bytes, shown: str, by: tuple[bytes, ...], encoding: Encoding, algorithm: str = "sha256"
) -> bool:
    """Return True if `shown` is the HMAC of some bytes by one of our secrets."""
    return has_hmac_of(content, (shown,), by, encoding, algorithm)


def has_hmac_of(
    content: bytes,
    shown: Iterable[str],
    by: tuple[bytes, ...],
    encoding: Encoding,
    algorithm: str = "sha256",
) -> bool:
    """Return the same for several signatures; the content is read once for each secret."""
    valid = tuple([encoding(hmac.digest(secret, content, algorithm)) for secret in by])
    return any([is_one_of(one.encode("utf-8", "replace"), valid) for one in shown])


def basic_credentials(request: Request) -> bytes:
    """Return name, colon and password of HTTP Basic; empty if there are none."""
    scheme, _, encoded = request.headers.get("authorization", "").strip().partition(" ")
    if scheme.lower() != "basic":
        return b""
    try:
        return base64.b64decode(encoded.strip(), validate=True)
    except ValueError:
        return b""


def named(header: str, name: str) -> list[str]:
    """Return the values of a name in a header such as `t=1795161600,v1=5257a8,v1=9d8c7b`."""
    pairs = [part.partition("=") for part in header.split(",")]
    return [value for key, _, value in pairs if key == name]


def is_recent(seconds: str, received_ms: int, max_age_days: float) -> bool:
    """Return True if a signed text is a time, in seconds since 1970, close enough to receipt."""
    if not (seconds.isascii() and seconds.isdigit() and len(seconds) <= 12):
        return False
    return abs(received_ms - int(seconds) * 1000) <= max_age_days * DAY_MS
