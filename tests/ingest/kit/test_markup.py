"""Texts in HTML, as text."""

from __future__ import annotations

import html

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.kit.markup import text_of_html


@given(st.text(max_size=200))
def test_entities_are_decoded_once(text: str):
    assert text_of_html(html.escape(text)) == text
    assert text_of_html(html.escape(html.escape(text))) == html.escape(text)


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<p>Size <b>42</b></p>", "Size 42"),
        ("one<br>two<br/>three", "one two three"),
        ("<!-- seen by nobody -->seen", "seen"),
        ("<style>p { color: red }</style><SCRIPT>x()</SCRIPT >seen", "seen"),
        ("3 < 4 and 5 > 4", "3 < 4 and 5 > 4"),
        ('<a href="https://x.example/?a=1&amp;b=2">a link</a>', "a link"),
        ("<unfinished", "<unfinished"),
        ("", ""),
    ],
)
def test_what_shows_is_the_text(markup: str, text: str):
    assert " ".join(text_of_html(markup).split()) == text


@pytest.mark.parametrize("part", ["<", "<!--", "<script", "<a ", "&", "&#"])
def test_a_long_text_takes_no_longer_than_its_beginning(part: str):
    assert len(text_of_html(part * 100_000)) <= 4000
