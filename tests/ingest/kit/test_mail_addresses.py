"""Addresses in headers, as people and programs write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.kit.mail_addresses import address, mailboxes


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ada@example.com", [("", "ada@example.com")]),
        ("Ada <ada@example.com>", [("Ada", "ada@example.com")]),
        ("<ada@example.com>", [("", "ada@example.com")]),
        ("ada@example.com (Ada)", [("Ada", "ada@example.com")]),
        ('"Doe, Ada" <ada@example.com>', [("Doe, Ada", "ada@example.com")]),
        ('"Ada \\"A\\" Doe" <ada@example.com>', [('Ada "A" Doe', "ada@example.com")]),
        ("Doe, Ada <ada@example.com>", [("Ada", "ada@example.com")]),
        ("other@example.org <ada@example.com>", [("other@example.org", "ada@example.com")]),
        ("Ada [Sales] <ada@example.com>", [("Ada [Sales]", "ada@example.com")]),
        ("a@example.com, b@example.com", [("", "a@example.com"), ("", "b@example.com")]),
        ("a@example.com; b@example.com", [("", "a@example.com"), ("", "b@example.com")]),
        ("Team: a@example.com, B <b@x.org>;", [("", "a@example.com"), ("B", "b@x.org")]),
        ("undisclosed-recipients:;", []),
        ("<@relay.example,@mx.example:ada@example.com>", [("", "ada@example.com")]),
        ('"a..b."@docomo.ne.jp', [("", '"a..b."@docomo.ne.jp')]),
        ("Taro <a..b.@docomo.ne.jp>", [("Taro", "a..b.@docomo.ne.jp")]),
        ('"a, b"@example.com', [("", '"a, b"@example.com')]),
        ("山田 <info@exämple.de>", [("山田", "info@exämple.de")]),
        ("jörg@example.de", [("", "jörg@example.de")]),
        ("=?utf-8?B?5bGx?= <a@example.com>", [("山", "a@example.com")]),
        ("=?utf-8?Q?j=C3=B6rg?=@example.de", [("", "jörg@example.de")]),
        ("=?utf-8?B?QWRhIDxhZGFAZXhhbXBsZS5jb20+?=", [("Ada", "ada@example.com")]),
        ("nobody", []),
        ("@example.com", []),
        ("ada@", []),
        ("", []),
    ],
)
def test_mailboxes(text: str, found: list[tuple[str, str]]):
    names = [(one.name, one.address) for one in mailboxes(text)]
    assert names == found
    assert address(text) == (found[0][1] if found else None)


@given(st.text(alphabet='a@.<>"\\(),;: =?', max_size=60) | st.text(max_size=60))
def test_any_text(text: str):
    for one in mailboxes(text):
        assert "@" in one.address


@pytest.mark.parametrize("part", ['"', "(", "<", "\\", "=?", "@", ",", 'a"', "(a", "<a@", ":"])
def test_a_long_header_of_a_stranger_takes_no_time(part: str):
    assert isinstance(mailboxes(part * 100_000), list)
    assert address(part * 100_000) is None
