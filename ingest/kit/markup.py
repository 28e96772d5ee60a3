"""Texts in HTML, as text."""

from __future__ import annotations

import html
import re

#: Matches what shows nothing (comments, scripts, styles), and a tag.
_MARKUP = re.compile(
    r"<!--.*?-->|<(script|style)\b.*?</\1\s*>|<[/!]?[a-z][^>]*>", re.DOTALL | re.IGNORECASE
)
#: Characters that are read: a subject needs the beginning of a message alone.
_READ_LENGTH = 4000


def text_of_html(markup: str) -> str:
    """Return the beginning of a text in HTML without its tags, its entities decoded once."""
    return html.unescape(_MARKUP.sub(" ", markup[:_READ_LENGTH]))
