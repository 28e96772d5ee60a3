"""The worked examples of the pages about files: each sample with the mapping beside it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.config.settings import load
from deploy.operations.import_file import first_rows, source_of
from deploy.runtime.factories.sources import limits
from ingest.files.reader import SourceReader
from ingest.intake.accept import Accepted
from schemas.event_types import EVENT_TYPES
from tests.support.files import NOW_MS

PAGES = Path(__file__).parents[2] / "docs" / "channels"
EXAMPLE = re.compile(
    r"\(samples/([\w.]+)\)(?:(?!\(samples/)[\s\S])*?```yaml\n(sources:[\s\S]*?)```"
)
#: Sample -> its rows and those that are refused.
SAMPLES = {
    "pos.csv": (4, {4: "no_identifier"}),
    "seminar.csv": (3, {}),
    "downloads.csv": (3, {}),
    "contacts.csv": (4, {4: "invalid"}),
    "records.jsonl": (2, {}),
    "Master.csv": (3, {3: "unsupported"}),
}
Sample = Callable[[str], list[Any]]


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    """Each row of a sample: its columns, or the reason why it is refused."""
    examples = {
        name: config
        for page in PAGES.glob("*.md")
        for name, config in EXAMPLE.findall(page.read_text(encoding="utf-8"))
    }

    def read(name: str) -> list[Any]:
        path = tmp_path / "touchline.yaml"
        path.write_text(examples[name], encoding="utf-8")
        loaded = load(path)
        (source,) = loaded.settings.sources
        reading = SourceReader(
            source_of(loaded, source, "", {}), limits(loaded.settings), lambda: NOW_MS
        )
        found = [
            one for row in first_rows(reading, PAGES / "samples" / name, 99) for one in row.results
        ]
        return [json.loads(r.value) if isinstance(r, Accepted) else r.reason for r in found]

    return read


@pytest.mark.parametrize("name", SAMPLES)
def test_a_worked_example_does_what_it_says(sample: Sample, name: str):
    count, refused = SAMPLES[name]
    found = sample(name)
    assert len(found) == count
    assert {n: row for n, row in enumerate(found, 1) if isinstance(row, str)} == refused


def test_point_of_sale(sample: Sample):
    first, second, refund, _ = sample("pos.csv")
    assert first["event_id"] == "R-1001"
    assert first["type"] in EVENT_TYPES
    assert (first["channel"], first["value_amount"], first["value_currency"]) == (
        "store",
        "12800",
        "JPY",
    )
    assert first["occurred_at"] == "2026-11-01T01:30:00.000Z"
    assert first["identifiers"] == {"loyalty_id": ["L-000123"], "phone": ["+81312345678"]}
    assert json.loads(first["properties"]) == {"shop": "渋谷店", "items": "コート 1\r\nマフラー 1"}
    assert second["lead_kind"] == "phone"
    assert refund["type"] == "order_refunded"


def test_seminar_attendance(sample: Sample):
    first, second, third = sample("seminar.csv")
    assert [row["type"] for row in (first, second, third)] == [
        "seminar_attended",
        "seminar_missed",
        "seminar_attended",
    ]
    assert first["traits"] == {"name": "山田 花子", "company": "Example KK"}
    assert (first["consent"], second["consent"], third.get("consent", {})) == (
        {"marketing": True},
        {"marketing": False},
        {},
    )
    assert len({row["event_id"] for row in (first, second, third)}) == 3


def test_document_downloads(sample: Sample):
    first, second, third = sample("downloads.csv")
    assert first["identifiers"] == {"email": ["ada@example.org"], "anonymous_id": ["b-7f3c"]}
    assert (second["lead_kind"], third["lead_kind"]) == ("anonymous_id", "anonymous_id")
    assert (first["subject"], first["campaign_name"]) == (
        "Who is who: identity in streams",
        "newsletter-11",
    )
    assert first["occurred_at"] == "2025-12-01T00:00:00.000Z"


def test_existing_contacts(sample: Sample):
    first, second, third, _ = sample("contacts.csv")
    assert first["identifiers"] == {
        "customer_id": ["C-1"],
        "email": ["hanako@example.com"],
        "phone": ["+819012345678"],
    }
    assert first["traits"] == {
        "name": "山田 花子",
        "city": "東京",
        "birthday": "1985-04-12",
        "abc_class": "A",
    }
    assert (first["consent"], second["consent"]) == ({"marketing": True}, {"marketing": False})
    assert third["identifiers"]["phone"] == ["+442079460958"]
    assert first["occurred_at"] == "2026-03-01T00:15:00.000Z"


def test_call_detail_records(sample: Sample):
    came, went, _ = sample("Master.csv")
    assert (came["direction"], came["lead_value"]) == ("inbound", "+81312345678")
    assert (went["direction"], went["type"], went["outcome"]) == (
        "outbound",
        "call_missed",
        "no_answer",
    )
    assert came["occurred_at"] == "2026-10-20T00:15:00.000Z"


def test_touchpoints_as_they_are():
    loaded = load()
    reading = SourceReader(
        source_of(loaded, "history", "jsonl", {}), limits(loaded.settings), lambda: NOW_MS
    )
    found = first_rows(reading, PAGES / "samples" / "touchpoints.jsonl", 99)
    assert all(isinstance(one, Accepted) for row in found for one in row.results)


def test_every_example_is_tried():
    pages = [page.read_text(encoding="utf-8") for page in PAGES.glob("*.md")]
    named = {name for page in pages for name in re.findall(r"\(samples/([\w.]+)\)", page)}
    assert named == {path.name for path in (PAGES / "samples").iterdir()}
    assert named == {*SAMPLES, "touchpoints.jsonl"}
    assert yaml.safe_load(EXAMPLE.findall("\n".join(pages))[0][1])
