"""Upgrades: what former releases have written is read, and goes on as if nothing had been."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest

from processors.engine.seen import PartitionSeen
from processors.engine.store import PartitionMemory, PartitionRows
from schemas import messages, topics
from schemas.identifiers import identifier_id
from schemas.rows import FORMAT
from tests.golden import files, system
from tests.golden.forms import FORMS, SEEN_WINDOW_S, STAGE_OF, Example, database
from tests.support import pipeline_checks
from tests.support.touches import order, touch

CHANGED = f"""
What this release writes as {{name}} is not what is kept in v{FORMAT}: {{what}}.
If a release may have written it as it is kept: raise FORMAT in schemas/rows.py, run
`{files.WRITE}`, keep the folder v{FORMAT} as it is, and see to it that this release reads it.
If nobody has, or if only what the stages decide has changed and not how it is written:
`{files.WRITE} --again`, and look at the difference before you commit it.
"""
KEPT = [(version, name) for version in files.versions() for name in files.names(version)]


def present(found: Any) -> Any:
    """Return a value as it comes out of a file."""
    return json.loads(json.dumps(found))


def contains(found: Any, kept: Any) -> bool:
    """Return whether all that is kept is found; fields may have been added since."""
    if isinstance(found, dict) and isinstance(kept, dict):
        return all(name in found and contains(found[name], one) for name, one in kept.items())
    if isinstance(found, list) and isinstance(kept, list):
        return len(found) == len(kept) and all(map(contains, found, kept))
    return bool(found == kept)


@pytest.mark.parametrize(("version", "name"), KEPT)
def test_what_a_release_has_written_is_read_and_says_the_same(version: int, name: str) -> None:
    assert name in FORMS, f"nothing reads {name} any more, and it may still be there"
    for example, says in files.kept(version, name):
        found = present(FORMS[name].read(example))
        assert contains(found, says), (
            f"{name} of v{version}, {example.key!r}:\nsays {found}\nnot  {says}"
        )


@pytest.mark.parametrize("name", FORMS)
def test_what_is_written_today_is_what_is_kept(name: str) -> None:
    assert FORMAT in files.versions(), f"format {FORMAT} is new: `{files.WRITE}`"
    assert name in files.names(FORMAT), f"{name} is new: `{files.WRITE}`"
    kept = [one.example for one in files.kept(FORMAT, name)]
    written = list(files.written_today()[name])
    differs = [n for n, (a, b) in enumerate(zip(kept, written, strict=False)) if a != b]
    if differs:
        what = f"example {differs[0] + 1}, {written[differs[0]]}, is kept as {kept[differs[0]]}"
        pytest.fail(CHANGED.format(name=name, what=what))
    if len(kept) != len(written):
        what = f"{len(written)} examples instead of {len(kept)}"
        pytest.fail(CHANGED.format(name=name, what=what))


def test_every_topic_and_every_row_of_a_stage_has_a_form() -> None:
    assert {f"topic.{topic.name}" for topic in topics.PUBLIC} <= FORMS.keys()
    stopped = system.stopped()
    written = {
        (stage, one.key) for name, stage in STAGE_OF.items() for one in files.written_today()[name]
    }
    there = {(stage, key) for (stage, _), store in stopped.stores.items() for key in store.rows}
    assert there == written
    assert stopped.stores["trails", 0].seen.keys() == {
        bytes.fromhex(seen["hash"])
        for one in files.written_today()["changelog.seen"]
        for seen in FORMS["changelog.seen"].read(one)
    }


@pytest.mark.parametrize("version", files.versions())
def test_a_system_of_a_former_release_goes_on(version: int) -> None:
    """Stages start on its rows, read what it left unread, and take new touches."""
    pipeline = files.restored(version)
    assert {place.topic for place in pipeline.pending()} == system.places(pipeline).keys()
    hanako = identifier_id(*system.HANAKO)
    before = pipeline.profiles()[hanako]
    now = system.ago(pipeline, 0)
    pipeline.touch(order("n1", system.HANAKO, amount="1000", occurred_at=now), "shop")
    # A redelivery of what the former release has counted.
    pipeline.touch(touch("t15", system.HANAKO, system.NEW_MAIL, occurred_at=now), "web")
    pipeline.touch(touch("n2", system.TARO, ("device_id", "another"), occurred_at=now), "web")
    pipeline.touch(touch("n3", system.MAIL, system.BROWSER, occurred_at=now), "web")
    pipeline.lift(*system.MAIL)
    pipeline.touch(touch("n4", system.NEWCOMER, system.PHONE, occurred_at=now), "web")
    pipeline.calm()
    after = pipeline.profiles()[hanako]
    assert (after["touchpoints"], after["orders"]) == (before["touchpoints"] + 1, 1)
    pipeline_checks.check(pipeline, system.UNTRUSTED, answered=False)


@pytest.mark.parametrize("version", files.versions())
def test_deadlines_and_event_ids_in_a_local_database_of_a_former_release_are_found(
    version: int,
) -> None:
    rows = [one.example for one in files.kept(version, "row.profile")]
    index = [one.example for one in files.kept(version, "local.rows")]
    wanted = sorted(
        (says["body"]["deadline"], example.key)
        for example, says in files.kept(version, "row.profile")
        if says["body"]["deadline"]
    )
    assert wanted
    with filled(rows + index) as db:
        partition = PartitionRows(db, PartitionMemory())
        assert [key for _, key in partition.due(2**60, 100)] == [key for _, key in wanted]
        assert partition.to_relog(10) == {rows[0].key: rows[0].value}
    with filled([one.example for one in files.kept(version, "local.seen")]) as db:
        seen = PartitionSeen(db, SEEN_WINDOW_S)
        kept = files.kept(version, "changelog.seen")
        known = {bytes.fromhex(one["hash"]): one for _, says in kept for one in says}
        offsets = [one["offset"] for one in known.values()]
        assert seen.offsets(list(known), 0) == offsets
        assert seen.expire(max(one["time_s"] for one in known.values()) + SEEN_WINDOW_S + 1)
        assert seen.offsets(list(known), 0) == [None] * len(offsets)


@contextmanager
def filled(entries: Iterable[Example]) -> Iterator[Any]:
    """A local database with these entries."""
    with database() as db:
        for one in entries:
            db.put(one.key, one.value)
        yield db


@pytest.mark.parametrize(
    ("topic", "decode"),
    [
        (topics.TRAILS, messages.decode_trail_message),
        (topics.LINK_REQUESTS, messages.decode_link),
        (topics.ASSIGNMENTS, messages.decode_assignment),
    ],
)
def test_what_a_later_release_adds_at_the_end_of_a_message_is_passed_over(
    topic: topics.Topic, decode: Any
) -> None:
    """So that stages may be replaced one after the other, whichever is first."""
    for one in files.written_today()[f"topic.{topic.name}"]:
        more = msgspec.msgpack.encode([*msgspec.msgpack.decode(one.value), "more"])
        assert decode(more) == decode(one.value)


def test_a_file_that_would_change_is_left_as_it_is_unless_it_is_said(tmp_path: Any) -> None:
    folder = tmp_path / "v1"
    assert {line.split(": ")[1] for line in files.write(folder)} == {"new"}
    assert list(files.write(folder)) == []
    changed = folder / "row.trail.json"
    written = changed.read_text()
    changed.write_text("[]")
    (line,) = files.write(folder)
    assert line.startswith("row.trail.json: CHANGED")
    assert changed.read_text() == "[]"
    assert list(files.write(folder, again=True)) == ["row.trail.json: written again"]
    assert changed.read_text() == written
