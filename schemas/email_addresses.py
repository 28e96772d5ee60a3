"""E-mail addresses in normal form: the addresses that RFC 5321 and RFC 6531 allow, and a few more.

The local part is in lower case, the domain in ASCII (IDNA), and quotes are there only where the
local part needs them: `"ada"@example.com` is `ada@example.com`. Addresses that two Japanese mobile
carriers gave out until 2009 have dots where only a quoted local part may have them; customers and
mail systems write them with and without quotes, so at these carriers both are one address. At any
other domain such dots without quotes are a slip of the pen, and no address.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from email_validator import EmailNotValidError, validate_email

#: Most octets of a local part and of an address (RFC 5321, 4.5.3.1).
_MAX_LOCAL_LENGTH = 64
_MAX_LENGTH = 254
_ATEXT = r"[\w!#$%&'*+/=?^`{|}~-]"
#: Matches an address that needs no Unicode, no quotes and no Punycode: its ASCII letters are its
#: bytes.
_PLAIN = re.compile(
    rf"({_ATEXT}+(?:\.{_ATEXT}+)*)@((?!.*xn--)[a-z0-9.-]+)", re.ASCII | re.IGNORECASE
)
#: Matches an address of NTT Docomo or au with dots in any place.
_DOTTED = re.compile(
    r"([\w!#$%&'*+/=?^`{|}~.-]+)@((?:[a-z0-9-]+\.)*(?:docomo\.ne\.jp|ezweb\.ne\.jp|au\.com))",
    re.ASCII | re.IGNORECASE,
)


def email_address(value: str) -> str | None:
    """Return an address in normal form, or None if it cannot be one."""
    text = unicodedata.normalize("NFKC", value).strip()
    if len(text) <= _MAX_LENGTH and (plain := _PLAIN.fullmatch(text)):
        domain = _plain_domain(plain[2])
        return domain and _within_limits(plain[1].lower(), domain)
    if found := _validated(text):
        return found
    dotted = _DOTTED.fullmatch(text)
    return _validated(f'"{dotted[1]}"@{dotted[2]}') if dotted else None


@lru_cache(maxsize=4096)
def _plain_domain(domain: str) -> str | None:
    """Return the library's normal form of a domain; cached, because customers share few of them."""
    address = _validated(f"a@{domain}")
    return address and address[2:]


def _validated(text: str) -> str | None:
    try:
        parsed = validate_email(
            text, check_deliverability=False, globally_deliverable=False, allow_quoted_local=True
        )
    except EmailNotValidError:
        return None
    domain = parsed.ascii_domain.lower()
    return _within_limits(parsed.local_part.lower(), domain) if "." in domain else None


def _within_limits(local: str, domain: str) -> str | None:
    octets = len(local.encode())
    fits = octets <= _MAX_LOCAL_LENGTH and octets + 1 + len(domain) <= _MAX_LENGTH
    return f"{local}@{domain}" if fits else None
