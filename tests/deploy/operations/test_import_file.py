"""Importing files: which source, how far, and that the same again changes nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.cli.main import run
from deploy.config.settings import Configuration, load
from deploy.kafka.cursors import FolderCursors
from deploy.operations.import_file import Import, ImportProblem, source_of
from deploy.runtime.factories.sources import limits, read_sources
from ingest.files.reader import SourceReader
from ingest.publishing.port import Message, NotAcknowledged
from ingest.registry import ConnectorError
from schemas.topics import TOUCHPOINTS
from tests.support.files import NOW_MS

Capture = pytest.CaptureFixture[str]
MAP = {"type": "visited", "channel": "store", "identifiers": {"loyalty_id": "card"}}
SOURCES: dict[str, dict[str, Any]] = {
    "shop": {"connector": "csv", "map": MAP, "currency": "JPY"},
    "other": {"connector": "csv", "map": MAP},
    "pay": {"connector": "stripe", "signing_secret": "s"},
    "crm": {"connector": "touchpoint", "token": "t", "default_region": "JP"},
}
TOUCH = {
    "channel": "phone",
    "type": "call_completed",
    "identifiers": [{"kind": "phone", "value": "03-1234-5678"}],
}


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Configuration:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "touchline.yaml").write_text(yaml.safe_dump({"sources": SOURCES}))
    return load()


class Kafka:
    """Takes what is sent, until it is away."""

    def __init__(self) -> None:
        self.touches: list[dict[str, Any]] = []
        self.away = False

    def send(self, records: Sequence[Message]) -> None:
        if self.away:
            raise NotAcknowledged("Kafka is away")
        found = [json.loads(one.value) for one in records if one.topic == TOUCHPOINTS.name]
        self.touches += found


@pytest.fixture
def kafka() -> Kafka:
    return Kafka()


def importer(loaded: Configuration, kafka: Kafka, source: str = "shop", name: str = "") -> Import:
    read = source_of(loaded, source, name, {})
    reading = SourceReader(read, limits(loaded.settings), lambda: NOW_MS)
    return Import(reading, FolderCursors(Path("data") / "cursors.json"), kafka)


def table(name: str, *cards: str) -> Path:
    path = Path(name)
    path.write_text("\n".join(["card", *cards]) + "\n")
    return path


def test_the_same_file_again_changes_nothing_and_a_grown_one_goes_on(
    loaded: Configuration, kafka: Kafka
):
    first = importer(loaded, kafka).run(table("a.csv", "L-1", "L-2"))
    assert (first.rows, first.accepted, first.already) == (2, 2, 0)
    for name in ("a.csv", "copy.csv"):
        again = importer(loaded, kafka).run(table(name, "L-1", "L-2"))
        assert (again.rows, again.already) == (0, 2)
    grown = importer(loaded, kafka).run(table("a.csv", "L-1", "L-2", "L-3"))
    assert (grown.rows, grown.already) == (1, 2)
    once_more = importer(loaded, kafka).run(table("a.csv", "L-1", "L-2", "L-3"))
    assert (once_more.rows, once_more.already) == (0, 3)
    assert [row["lead_value"] for row in kafka.touches] == ["L-1", "L-2", "L-3"]
    ids = [row["event_id"] for row in kafka.touches]
    assert len(set(ids)) == 3
    assert len({one.partition("-")[0] for one in ids}) == 1


def test_each_source_has_its_own_cursors(loaded: Configuration, kafka: Kafka):
    importer(loaded, kafka).run(table("a.csv", "L-1"))
    assert importer(loaded, kafka, "other").run(table("a.csv", "L-1")).rows == 1
    assert {row["source"] for row in kafka.touches} == {"shop", "other"}


def test_again_reads_all_of_it_with_the_same_ids(loaded: Configuration, kafka: Kafka):
    importer(loaded, kafka).run(table("a.csv", "L-1", "L-2"))
    counts = importer(loaded, kafka).run(Path("a.csv"), again=True)
    assert (counts.rows, counts.already) == (2, 0)
    ids = [row["event_id"] for row in kafka.touches]
    assert ids[:2] == ids[2:]


def test_a_file_that_grows_before_its_first_rows_are_in_keeps_their_ids(
    loaded: Configuration, kafka: Kafka
):
    kafka.away = True
    with pytest.raises(NotAcknowledged):
        importer(loaded, kafka).run(table("a.csv", "L-1"))
    kafka.away = False
    known = json.loads(Path("data/cursors.json").read_text())
    (key,) = known
    importer(loaded, kafka).run(table("a.csv", "L-1", "L-2"))
    assert {f"file/shop/csv/{r['event_id'].partition('-')[0]}" for r in kafka.touches} == {key}


def test_counts_say_where_and_why_rows_were_refused(loaded: Configuration, kafka: Kafka):
    counts = importer(loaded, kafka).run(table("a.csv", "L-1", '"x', "guest", *["null"] * 9))
    assert counts.accepted == 1
    assert counts.rejected == {"no_identifier": 10, "unreadable": 1}
    assert len(counts.details) == 5
    assert counts.details[1].startswith("a.csv:4: identifiers: none is left that names a customer")


def test_a_source_or_a_connector_is_enough_where_it_says_the_other(loaded: Configuration):
    assert source_of(loaded, "shop", "", {}).connector.name == "csv"
    assert source_of(loaded, "", "stripe", {}).name == "pay"
    for source, connector, said in (
        ("", "csv", "2 sources have the connector 'csv': name one with --source"),
        ("", "jsonl", "no source has the connector 'jsonl': name one with --source"),
        ("nobody", "", "there is no source 'nobody': name a connector too"),
    ):
        with pytest.raises(ImportProblem) as problem:
            source_of(loaded, source, connector, {})
        assert str(problem.value) == said


def test_a_source_brings_its_policy_for_another_connector_too(loaded: Configuration, kafka: Kafka):
    Path("t.jsonl").write_text(json.dumps(TOUCH) + "\n")
    importer(loaded, kafka, "crm", "jsonl").run(Path("t.jsonl"))
    assert [row["lead_value"] for row in kafka.touches] == ["+81312345678"]
    assert source_of(loaded, "history", "jsonl", {}).policy.region is None


def test_options_and_missing_ones(loaded: Configuration):
    with pytest.raises(ConnectorError, match="map is missing"):
        source_of(loaded, "history", "csv", {})
    read = source_of(loaded, "shop", "", {"encoding": "cp932"})
    assert vars(read.connector)["_dialect"].encoding == "cp932"


def test_what_was_refused_of_files_can_be_read_again(loaded: Configuration):
    assert {source.name for source in read_sources(loaded)} == set(SOURCES)


def test_a_dry_run_shows_the_first_rows_and_needs_no_kafka(loaded: Configuration, capsys: Capture):
    table("a.csv", "L-1", "null", "L-3")
    assert run(["import", "a.csv", "--source", "shop", "--dry-run", "--rows", "1"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("a.csv:2:\n1 touchpoint, 0 rejections\n")
    assert "loyalty_id  L-1  (leads)" in out
    assert "L-3" not in out
    assert run(["import", "a.csv", "--source", "shop", "--dry-run", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert [one["place"] for one in found] == ["a.csv:2", "a.csv:3", "a.csv:4"]
    assert found[1]["results"][0]["rejection"]["reason"] == "no_identifier"


def test_usage_and_failures_are_one_line(loaded: Configuration, capsys: Capture):
    table("a.csv", "L-1")
    Path("b.csv").write_text("mail\nx\n")
    assert run(["import", "a.csv"]) == 2
    assert "name a source" in capsys.readouterr().err
    assert run(["import", "nothing.csv", "--source", "shop"]) == 2
    capsys.readouterr()
    assert run(["import", "b.csv", "--source", "shop", "--dry-run"]) == 1
    assert capsys.readouterr().err == "touchline: b.csv:1: there is no column card; it has: mail\n"
