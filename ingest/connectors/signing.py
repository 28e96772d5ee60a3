"""The former name of `ingest.kit.signing`, for connectors that were written before it moved."""

from ingest.kit.signing import (
    BASE64,
    HEX,
    Encoding,
    RequiredSecrets,
    basic_credentials,
    has_hmac_of,
    is_hmac_of,
    is_one_of,
    is_recent,
    named,
)

__all__ = [
    "BASE64",
    "HEX",
    "Encoding",
    "RequiredSecrets",
    "basic_credentials",
    "has_hmac_of",
    "is_hmac_of",
    "is_one_of",
    "is_recent",
    "named",
]
