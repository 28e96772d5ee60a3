"""docs/mapping.md: each thing is written as the page has it, in the languages that it names."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from ingest.registry import Registry
from tests.support.mapping_languages import RULES, options
from tests.support.plug_in import ROOT

PAGE = (ROOT / "docs" / "mapping.md").read_text(encoding="utf-8")
_ROW = re.compile(r"^\| (?!--- )(.*) \|$", re.MULTILINE)
_CODE = re.compile(r"``(.+?)``|`([^`]+)`")
_FRAGMENT = re.compile(r"[a-z_]+: \S")
#: Column of the table -> the connectors that read it.
LANGUAGES = {1: ("jsonl", "mapped"), 2: ("jsonl",), 3: ("mapped",)}


def fragments() -> list[tuple[str, str]]:
    """Language and fragment of a mapping, of each that the table shows."""
    found = []
    for row in _ROW.findall(PAGE)[1:]:
        for number, cell in enumerate(re.split(r"(?<!\\) ?\| ?", row)):
            spans = [a or b for a, b in _CODE.findall(cell)]
            texts = [text for text in spans if _FRAGMENT.match(text)]
            found += [(one, text) for text in texts for one in LANGUAGES[number]]
    return found


@pytest.mark.parametrize(("language", "fragment"), fragments())
def test_what_the_page_shows_is_read(language: str, fragment: str):
    changes: dict[str, Any] = yaml.safe_load(fragment)
    Registry().create(language, options(language, {**RULES, **changes}))


def test_every_row_shows_something():
    assert len(_ROW.findall(PAGE)) > 20
    assert len({fragment for _, fragment in fragments()}) > 45


def test_the_pages_of_both_languages_lead_there():
    for name in ("csv", "mapped"):
        page = (ROOT / "docs" / "channels" / f"{name}.md").read_text(encoding="utf-8")
        assert "(../mapping.md)" in page
