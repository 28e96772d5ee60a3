"""Tools that connectors share to authenticate a request: secrets, signatures and their age.

Nothing here raises, and comparisons take the same time whatever is shown.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable, Iterable
from typing import Annotated
from urllib.parse import parse_qs

from pydantic import AfterValidator, Field

from ingest.connector import Request, Secrets, secrets
from schemas.rejection import Rejection
from schemas.times import DAY_MS, SECOND_MS, parse_ms

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

#: Option: the maximum age of a signature.
MaxAgeDays = Annotated[float, Field(gt=0)]
#: Most parameters of a query that is read.
_MOST_FIELDS = 100


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


def is_named_hmac_of(
    content: bytes,
    header: str,
    by: tuple[bytes, ...],
    encoding: Encoding,
    algorithm: str = "sha256",
) -> bool:
    """Return True if a header such as `sha256=5257a8` holds the HMAC by this very algorithm."""
    name, _, shown = header.partition("=")
    return name == algorithm and is_hmac_of(content, shown, by, encoding, algorithm)


def basic_credentials(request: Request) -> bytes:
    """Return name, colon and password of HTTP Basic; empty if there are none."""
    try:
        return base64.b64decode(_authorization(request, "basic"), validate=True)
    except ValueError:
        return b""


def bearer_token(request: Request) -> str:
    """Return the Bearer token of a request; empty if there is none."""
    return _authorization(request, "bearer")


def _authorization(request: Request, scheme: str) -> str:
    """Return the credentials of the header Authorization; empty if its scheme is another."""
    found, _, credentials = request.headers.get("authorization", "").strip().partition(" ")
    return credentials.strip() if found.lower() == scheme else ""


def query_value(query: str, name: str) -> str | None:
    """Return the first value of a parameter in a query; None if it is absent or empty."""
    try:
        values = parse_qs(query, max_num_fields=_MOST_FIELDS).get(name)
    except ValueError:
        return None
    return values[0] if values else None


def sorted_form(request: Request) -> bytes:
    """Return the names and values of a form's fields, sorted and joined; empty if it is no form.

    Twilio and Mandrill sign this behind the address.
    """
    form = request.form
    if isinstance(form, Rejection):
        return b""
    text = "".join(name + value for name, value in sorted(set(form)))
    return text.encode("utf-8", "surrogateescape")


def named(header: str, name: str) -> list[str]:
    """Return the values of a name in a header such as `t=1795161600,v1=5257a8,v1=9d8c7b`."""
    pairs = [part.partition("=") for part in header.split(",")]
    return [value for key, _, value in pairs if key == name]


def is_recent(seconds: str, received_ms: int, max_age_days: float) -> bool:
    """Return True if a signed text is a time, in seconds since 1970, close enough to receipt."""
    if not (seconds.isascii() and seconds.isdigit() and len(seconds) <= 12):
        return False
    return _is_near(int(seconds) * SECOND_MS, received_ms, max_age_days)


def is_recent_time(text: str, received_ms: int, max_age_days: float) -> bool:
    """Return True if a signed text is an RFC 3339 time close enough to receipt."""
    try:
        return _is_near(parse_ms(text), received_ms, max_age_days)
    except (ValueError, OverflowError):
        return False


def _is_near(moment_ms: int, received_ms: int, max_days: float) -> bool:
    return abs(received_ms - moment_ms) <= max_days * DAY_MS
