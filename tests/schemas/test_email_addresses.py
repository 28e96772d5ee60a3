"""E-mail addresses: one normal form for each mailbox, that of the library where it has one."""

import unicodedata

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.email_addresses import email_address
from schemas.identifiers import IdentityPolicy

POLICY = IdentityPolicy()
#: Domains at which dots may stand anywhere without quotes.
CARRIERS = ("docomo.ne.jp", "ezweb.ne.jp", "au.com")
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
    st.text(_ODD, min_size=1, max_size=12).map(lambda text: f'"{text}"'),
    st.text("ab.", min_size=50, max_size=70),
    st.sampled_from(["Info", "o'neil+news", '"a b"', '"A..b."', "abuse", "no.name"]),
)
_DOMAINS = st.one_of(
    st.builds(lambda parts, top: ".".join([*parts, top]), _PARTS, _TOPS),
    st.text(_ODD, min_size=1, max_size=12),
    st.sampled_from(
        ["example.com", "[192.0.2.1]", "a--b.com", f"{'d' * 64}.com", "docomo.ne.jp", "Au.com"]
    ),
    st.integers(180, 260).map(lambda n: ("a." * n)[:n] + "com"),
)
_ADDRESSES = st.builds(
    lambda local, at, domain, end: f"{local}{at}{domain}{end}",
    _LOCALS,
    st.sampled_from(["@", "@", "@", "＠", "@@", ""]),
    _DOMAINS,
    st.sampled_from(["", "", "", " ", "\n", "."]),
)


def by_the_library(value: str) -> str | None:
    """Return an address as the library alone has it, within the limits of RFC 5321."""
    text = unicodedata.normalize("NFKC", value).strip()
    try:
        parsed = validate_email(
            text, check_deliverability=False, globally_deliverable=False, allow_quoted_local=True
        )
    except EmailNotValidError:
        return None
    local, domain = parsed.local_part.lower(), parsed.ascii_domain.lower()
    if "." not in domain or len(local.encode()) > 64 or len(f"{local}@{domain}".encode()) > 254:
        return None
    return f"{local}@{domain}"


@given(_ADDRESSES)
@example("Ada.Lovelace+News@Mail.Example.COM")
@example(f"{'a' * 64}@b.cd")
@example(f"{'a' * 65}@b.cd")
@example(f"{'é' * 33}@b.cd")
@example(f"a@{'b' * 63}.{'c' * 63}.{'d' * 63}.{'e' * 57}.com")
@example("a@x.XN--bcher-kva.com")
@example("a@sub.local")
@example(f"{'l' * 60}@{('日' * 20).encode('idna').decode()}.com")
def test_an_address_is_what_the_library_makes_of_it(value: str):
    found = email_address(value)
    assert found == by_the_library(value) or (found or "").endswith(CARRIERS)


@given(st.from_regex(r"[\w!#$%&'*+/=?^`{|}~.-]{1,20}@[A-Za-z0-9.-]{1,20}", fullmatch=True))
def test_a_plain_address_is_what_the_library_makes_of_it(value: str):
    assert email_address(value) == by_the_library(value)


@given(_ADDRESSES)
def test_a_normal_form_is_its_own_and_has_no_control_characters(value: str):
    found = email_address(value)
    if found is not None:
        assert email_address(found) == found
        assert not any(unicodedata.category(character) in ("Cc", "Cf") for character in found)


@pytest.mark.parametrize(
    "writings",
    [
        ('"a..b."@docomo.ne.jp', "a..b.@docomo.ne.jp", "A..b.@Docomo.NE.jp", "ａ..b.@docomo.ne.jp"),
        ('".a"@ezweb.ne.jp', ".a@ezweb.ne.jp"),
        ('"a-.-"@t1.ezweb.ne.jp', '"A-.-"@t1.ezweb.ne.jp', "a-.-@t1.ezweb.ne.jp"),
        ("a..@au.com", '"a.."@au.com'),
        ("ada@example.org", '"ada"@example.org', '"\\ada"@example.org'),
        ("info@exämple.de", "info@xn--exmple-cua.de", '"info"@EXÄMPLE.de'),
        ("jörg@example.de", '"jo\u0308rg"@example.de'),
    ],
)
def test_the_writings_of_a_mailbox_are_one_identifier(writings: tuple[str, ...]):
    found = {POLICY.normalize("email", writing, None) for writing in writings}
    assert len(found) == 1
    assert None not in found


def test_a_quoted_local_part_stays_quoted_where_it_needs_to_be():
    assert email_address("a..b.@docomo.ne.jp") == '"a..b."@docomo.ne.jp'
    assert email_address('"a b"@example.org') == '"a b"@example.org'


@pytest.mark.parametrize(
    "value",
    [
        "a..b@gmail.com",
        ".a@example.org",
        "a..b@notdocomo.ne.jp",
        "a..b@docomo.ne.jp.example.org",
        "a b@docomo.ne.jp",
        '"a\tb"@example.org',
        '"a\x7f"@example.org',
        '""@example.org',
        f"{'a' * 65}@example.org",
        f"{'é' * 33}@example.org",
        '"no-reply"@example.org',
    ],
)
def test_what_is_no_mailbox_is_no_identifier(value: str):
    assert POLICY.normalize("email", value, None) is None
