"""Authentication of a request: HMACs, credentials, values of a query, the age of a signature."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from ingest.kit.signing import (
    HEX,
    basic_credentials,
    bearer_token,
    is_named_hmac_of,
    is_recent,
    is_recent_time,
    query_value,
)
from ingest.testing.values import RECEIVED_MS, posted
from schemas.times import DAY_MS, rfc3339


def test_a_named_hmac_is_of_this_algorithm_only():
    digest = hmac.new(b"k", b"body", hashlib.sha256).hexdigest()
    assert is_named_hmac_of(b"body", f"sha256={digest}", (b"other", b"k"), HEX)
    for wrong in (digest, f"sha1={digest}", f"SHA256={digest}", f"sha256={digest}=", "", "sha256="):
        assert not is_named_hmac_of(b"body", wrong, (b"k",), HEX)
    older = hmac.new(b"k", b"body", hashlib.sha1).hexdigest()
    assert is_named_hmac_of(b"body", f"sha1={older}", (b"k",), HEX, "sha1")
    assert not is_named_hmac_of(b"body", f"sha1={older}", (b"k",), HEX)


@pytest.mark.parametrize(
    ("header", "token", "basic"),
    [
        ("Bearer abc", "abc", b""),
        (" bearer  abc ", "abc", b""),
        ("Basic dTpw", "", b"u:p"),
        ("Basic dTp", "", b""),
        ("Basic \u00e9", "", b""),
        ("Bearer", "", b""),
        ("", "", b""),
    ],
)
def test_credentials_are_those_of_the_scheme(header: str, token: str, basic: bytes):
    request = posted(b"", {"authorization": header})
    assert bearer_token(request) == token
    assert basic_credentials(request) == basic


def test_of_a_query_the_first_value_is_taken_and_of_too_many_none():
    assert query_value("a=1&b=x%20y&b=z", "b") == "x y"
    assert query_value("a=1", "b") is None
    assert query_value("b=", "b") is None
    assert query_value("", "b") is None
    assert query_value("&".join(f"a{i}=1" for i in range(101)), "a0") is None


@pytest.mark.parametrize(("age_ms", "valid"), [(0, True), (DAY_MS, True), (DAY_MS + 1000, False)])
def test_a_signature_is_of_about_the_time_of_receipt(age_ms: int, valid: bool):
    for moment_ms in (RECEIVED_MS - age_ms, RECEIVED_MS + age_ms):
        assert is_recent(str(moment_ms // 1000), RECEIVED_MS, 1) is valid
        assert is_recent_time(rfc3339(moment_ms), RECEIVED_MS, 1) is valid


def test_what_is_no_time_is_not_recent():
    for wrong in ("", "x", "-1", "1" * 13, "2026-13-01T00:00:00Z"):
        assert not is_recent(wrong, RECEIVED_MS, 1e9)
        assert not is_recent_time(wrong, RECEIVED_MS, 1)
