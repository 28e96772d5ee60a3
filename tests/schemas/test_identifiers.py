"""Identifiers: the quick ways to a normal form and to an id give what the libraries give."""

import unicodedata
import uuid

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.identifiers import NAMESPACE, Identifier, IdentityPolicy, identifier_id

POLICY = IdentityPolicy()
_ODD = "aZ0_.+-@'\" <>[]!#%&*/=?^`{|}~:;,\\ßé日１＠。\u0301\u202e\t\n"
_PARTS = st.lists(
    st.sampled_from(["a", "Bob", "x-y", "1", "-", "_", "xn--bcher-kva", "é", "日本", "İ", "ß", ""]),
    min_size=1,
    max_size=4,
)
_TOPS = st.sampled_from(
    ["com", "COM", "co.jp", "test", "local", "localhost", "onion", "arpa", "1", "c", "c1", ""]
)
_LOCALS = st.one_of(
    _PARTS.map(".".join),
    st.text(_ODD, min_size=1, max_size=12),
    st.text("ab.", min_size=50, max_size=70),
    st.sampled_from(["Info", "o'neil+news", '"a b"', "abuse", "no.name"]),
)
_DOMAINS = st.one_of(
    st.builds(lambda parts, top: ".".join([*parts, top]), _PARTS, _TOPS),
    st.text(_ODD, min_size=1, max_size=12),
    st.sampled_from(["example.com", "[192.0.2.1]", "a--b.com", f"{'d' * 64}.com"]),
    st.integers(180, 260).map(lambda n: ("a." * n)[:n] + "com"),
)
_ADDRESSES = st.builds(
    lambda local, at, domain, end: f"{local}{at}{domain}{end}",
    _LOCALS,
    st.sampled_from(["@", "@", "@", "＠", "@@", ""]),
    _DOMAINS,
    st.sampled_from(["", "", "", " ", "\n", "."]),
)


def by_the_library(value: str) -> Identifier | None:
    """Return an address as the library alone has it."""
    text = unicodedata.normalize("NFKC", value).strip()
    try:
        parsed = validate_email(text, check_deliverability=False, globally_deliverable=False)
    except EmailNotValidError:
        return None
    domain = parsed.ascii_domain.lower()
    if "." not in domain:
        return None
    return Identifier("email", f"{parsed.local_part.lower()}@{domain}")


@given(_ADDRESSES)
@example("Ada.Lovelace+News@Mail.Example.COM")
@example(f"{'a' * 250}@b.cd")
@example(f"{'a' * 248}@b.cd")
@example("a@x.XN--bcher-kva.com")
@example("a@sub.local")
@example(f"{'l' * 210}@{('日' * 20).encode('idna').decode()}.com")
def test_an_address_is_what_the_library_makes_of_it(value: str):
    if POLICY.is_blocked(value) or len(value) > 512:
        return
    assert POLICY.normalize("email", value, None) == by_the_library(value)


@given(st.from_regex(r"[\w!#$%&'*+/=?^`{|}~.-]{1,20}@[A-Za-z0-9.-]{1,20}", fullmatch=True))
def test_a_plain_address_is_what_the_library_makes_of_it(value: str):
    if POLICY.is_blocked(value):
        return
    assert POLICY.normalize("email", value, None) == by_the_library(value)


@given(st.text(max_size=20), st.text(max_size=20))
def test_an_id_is_the_uuid5_of_kind_and_value(kind: str, value: str):
    assert identifier_id(kind, value) == str(uuid.uuid5(NAMESPACE, f"{kind}:{value}"))


@pytest.mark.parametrize("blocked", [frozenset(), frozenset({"kiosk"})])
def test_what_is_blocked_goes_by_the_policy(blocked: frozenset[str]):
    policy = IdentityPolicy(blocked=blocked)
    assert (policy.normalize("device_id", "Kiosk", None) is None) == bool(blocked)
