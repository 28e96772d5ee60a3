"""Every form that outlives a process: how today's code writes examples of it, and reads them.

=============  ==================================================================================
name           what
=============  ==================================================================================
``row.…``      rows of the stages' state, as they stand in the changelog and on disk
``local.…``    what else stands in the local databases
``changelog.`` what else stands in a changelog
``topic.…``    records of a topic
``packed.…``   what is packed within others
``kept.…``     text within columns of ClickHouse, and rows that go there without a topic
=============  ==================================================================================
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from rocksdict import Options, Rdict

from deploy.config import identity_policy
from deploy.kafka.control import NEXT, PRESENT, Generation, decode, encode
from deploy.operations.rejected.log import Mark
from ingest.files.identity import Imported
from ingest.files.identity import decode as imported
from ingest.files.pull import Pulled
from ingest.files.pull import decode as pulled
from ingest.intake.replay_context import ReplayContext
from processors.engagement import rows as engagement
from processors.engine.packing import pack_seen, unpack_seen
from processors.engine.seen import PartitionSeen
from processors.engine.store import (
    DUE,
    PartitionMemory,
    PartitionRows,
    due_entries,
    due_moment,
    open_by_this_release,
)
from processors.graph import rows as identity_rows
from processors.graph.working_copy import WorkingCopy
from processors.profiles.change import ProfileChange
from processors.profiles.rows import deadline
from processors.stage import Decision
from processors.trails import rows as trail_rows
from schemas import feature_adding, features, messages, rows, topics, touchpoint_row, trail
from schemas.identifiers import IdentityPolicy
from schemas.rejection import Origin, Rejection, rejected_row
from schemas.times import DAY_MS, HOUR_MS
from schemas.violation import Violation, Violations, violation_row
from sinks.clickhouse.tables import TABLES
from tests.golden import system
from tests.support import identity_world
from tests.support.pipeline import MemoryStore, Pipeline

SEEN_WINDOW_S = 7 * 86_400
NOW = identity_world.START_MS
UUID = "0b7f2a1e-0000-5000-8000-00000000000"


class Example(NamedTuple):
    """A record, a row or a text; `time_ms` is the record time of what stands on a topic."""

    value: bytes
    key: bytes = b""
    time_ms: int = 0


Write = Callable[[Pipeline], list[Example]]
Read = Callable[[Example], Any]


class Form(NamedTuple):
    """A form, written from the system that stopped or from fixed values, and read."""

    write: Write
    read: Read


def shown(value: Any) -> Any:
    """A decoded value in JSON, fields by their names."""
    if isinstance(value, msgspec.Struct):
        return {name: shown(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return shown(value._asdict())
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {str(key): shown(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [shown(one) for one in value]
    return value


# Rows of the stages


def rows_of(stage: str, prefix: bytes) -> Write:
    def write(pipeline: Pipeline) -> list[Example]:
        stored = pipeline.stores[stage, 0].rows
        return [Example(stored[key], key) for key in sorted(stored) if key.startswith(prefix)]

    return write


def body(decode: Callable[[Example], Any]) -> Read:
    """Header and body of a row."""

    def read(one: Example) -> Any:
        header = rows.header(one.value)
        known = {"epoch": header.epoch, "applied": header.applied, "rev": header.rev}
        return known | {"body": shown(decode(one))}

    return read


def of_trail(one: Example) -> Any:
    row = trail_rows.unpack_trail(one.value)
    return shown(row) | {"trail": shown_trail(row.trail)}


def shown_trail(packed: bytes) -> Any:
    found = trail.decode(packed)
    counted = {name: shown_feature(feature) for name, feature in found.features.items()}
    return shown(found) | {"features": counted}


def shown_feature(packed: bytes) -> Any:
    totals = features.totals(packed)
    return {
        "totals": shown(totals),
        "exact_from": features.exact_from(packed),
        "two_days": shown(features.entries_in_window(packed, totals.last_ms, 2 * DAY_MS)),
        "thirty_days": shown(features.entries_in_window(packed, totals.last_ms, 30 * DAY_MS)),
        "hours": shown(list(features.hourly(packed, 0))),
    }


def of_graph(kind: type[msgspec.Struct]) -> Callable[[Example], Any]:
    def read(one: Example) -> Any:
        store = MemoryStore(system.empty().stages[1])
        store.apply(Decision(rows={one.key: one.value}))
        return WorkingCopy(store, 1).get(one.key, kind)

    return read


def of_profile(one: Example) -> Any:
    rules: Any = system.empty().stages[2]
    change = ProfileChange(rules, one.key[2:], one.value)
    found = {"deadline": deadline(one.value), "unpublished": change.unpublished}
    return found | shown(change.row)


# The local databases


@contextmanager
def database() -> Iterator[Any]:
    """An empty one, as this release opens it."""
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    with tempfile.TemporaryDirectory() as folder:
        db = Rdict(str(Path(folder) / "db"), options=options)
        open_by_this_release(db, "the test")
        yield db
        db.close()


def local_rows(pipeline: Pipeline) -> list[Example]:
    """The index of deadlines, a row to log again, the offset: all beside the rows themselves."""
    stage, store = pipeline.stages[2], pipeline.stores["profiles", 0]
    key, row = min(store.rows.items())
    older = rows.pack(1, 0, 0, row[rows.SIZE :])
    with database() as db:
        partition = PartitionRows(db, PartitionMemory())
        partition.apply(store.rows, due_entries(stage.deadline, store.rows), {}, (), 41)
        partition.recover([(key, older)], stage.deadline, 42)
        return [Example(value, name) for name, value in db.items() if name not in store.rows]


def of_local_rows(one: Example) -> Any:
    if one.key.startswith(DUE):
        return {"due_ms": due_moment(one.key), "row": one.key[len(DUE) + 8 :].decode()}
    return {"name": one.key.decode(), "value": one.value.decode()}


def packed_ids(pipeline: Pipeline) -> list[bytes]:
    times = {r.offset: r.timestamp_ms for r in pipeline.logs[topics.TOUCHPOINTS.name, 0]}
    return pack_seen(pipeline.stores["trails", 0].seen, times)


def changelog_seen(pipeline: Pipeline) -> list[Example]:
    return [Example(packed) for packed in packed_ids(pipeline)]


def of_changelog_seen(one: Example) -> Any:
    return [shown(seen) for seen in unpack_seen(one.value)]


def local_seen(pipeline: Pipeline) -> list[Example]:
    with database() as db:
        PartitionSeen(db, SEEN_WINDOW_S).apply(enumerate(packed_ids(pipeline)))
        return [Example(value, name) for name, value in db.items()]


def of_local_seen(one: Example) -> Any:
    """The first delivery of an id; of the rest nothing is read one by one."""
    if len(one.key) != 17:
        return None
    with database() as db:
        db.put(one.key, one.value)
        return {"offset": PartitionSeen(db, SEEN_WINDOW_S).offsets([one.key[1:]], 0)[0]}


# Topics


def records(topic: str) -> Write:
    def write(pipeline: Pipeline) -> list[Example]:
        return [
            Example(record.value, record.key or b"", record.timestamp_ms)
            for record in pipeline.logs[topic, 0]
        ]

    return write


def of_trail_message(one: Example) -> Any:
    message = messages.decode_trail_message(one.value)
    if isinstance(message, messages.Watermark) or not message.trail:
        return shown(message)
    found = trail.decode(message.trail)
    counted = {name: features.totals(one).touches for name, one in found.features.items()}
    return shown(message) | {"trail": shown(found) | {"features": counted}}


def link_messages(pipeline: Pipeline) -> list[Example]:
    """All that the log of the system has, and what it has not."""
    split = messages.SplitCommand(
        "s9", False, NOW, "email", "a@x.jp", against=[("phone", "+81312345678")], note="姉妹"
    )
    rest = messages.Withdrawal("s9", True, NOW, [UUID + "1", UUID + "2"])
    return [Example(messages.encode(one)) for one in (split, rest)]


def rejected(_: Pipeline) -> list[Example]:
    of_event = Origin("event", "shop", "segment", ReplayContext("/v1/batch", {}, b"[", b"]").text())
    of_record = Origin("record", topic="trails", partition=3, key=b"\x00k", epoch=7)
    unreadable = Rejection("unreadable", "not JSON", b"\x00\xff")
    failed = Rejection("processing_failed", "KeyError in profiles", b"record")
    return [
        Example(rejected_row(what, of, rejected_id=UUID + str(n), received_ms=NOW))
        for n, (what, of) in enumerate([(unreadable, of_event), (failed, of_record)])
    ]


def violations(_: Pipeline) -> list[Example]:
    differ = (
        Violation("properties.plan", "enum", 'enum ["free"]', "string"),
        Violation("type", "unplanned", "a type of the tracking plan", "another one"),
    )
    of = Violations("e1", "注文", "", differ, True, lambda: b"")
    rows = [
        violation_row(one, of, source="shop", received_ms=NOW, example=example)
        for one, example in zip(differ, (b"", b"\x00{"), strict=True)
    ]
    return [Example(row) for row in rows]


def control(_: Pipeline) -> list[Example]:
    first = Generation(1, "cluster-a", "brand")
    built = identity_policy.serialize_policy(IdentityPolicy())
    beside = Generation(7, "cluster-a", "brand.g7", 8, built, "brand")
    return [
        Example(encode(first), PRESENT.encode()),
        Example(encode(beside), NEXT.encode()),
    ]


def cursors(_: Pipeline) -> list[Example]:
    new = Imported(file="f1", size=120, digest="d" * 64)
    begun = Imported(file="f1", size=120, digest="d" * 64, cursor="88:3:5", rows=3)
    return [Example(one.encode(), b"file/crm/csv/f1") for one in (new, begun)] + [
        Example(Pulled(cursor="5:7:1763600000").encode(), b"pull/support/mailbox")
    ]


def read_cursor(example: Example) -> Any:
    if example.key.startswith(b"pull/"):
        return shown(pulled(example.value))
    return shown(imported(example.value))


# What stands within others


def packed_features(_: Pipeline) -> list[Example]:
    """A count, amounts, and one of more touches than keep their exact time."""
    hours = [(NOW - n * HOUR_MS, 0) for n in (0, 0, 1, 30, 9_000)]
    bought = [(NOW, 29_330_001), (NOW, -5), (NOW - 3 * DAY_MS, 1_500_000_000)]
    many = [(NOW - n * 600_000, 0) for n in range(300)]
    return [
        Example(feature_adding.add_touches(None, hours, money=False)),
        Example(feature_adding.add_touches(None, bought, money=True)),
        Example(feature_adding.add_touches(None, many, money=False)),
    ]


def kept_requests(_: Pipeline) -> list[Example]:
    some = (
        ReplayContext("/v1/track"),
        ReplayContext(
            "/hooks/x?a=%20", {"content-type": "text/é \udcff"}, b'{"batch":[', "é]}".encode()
        ),
    )
    return [Example(one.text().encode()) for one in some]


def policies(_: Pipeline) -> list[Example]:
    changed = IdentityPolicy().with_kinds({"card": {"joins": False, "strength": 950, "limit": 2}})
    some = (IdentityPolicy(), replace(changed, joins_per_day=3))
    return [Example(identity_policy.serialize_policy(one).encode()) for one in some]


def of_policy(one: Example) -> Any:
    found = identity_policy.parse_policy(one.value.decode(), IdentityPolicy())
    kinds = {name: asdict(kind) for name, kind in found.kinds.items()}
    return {"joins_per_day": found.joins_per_day, "kinds": kinds}


def marks(_: Pipeline) -> list[Example]:
    at = "2026-05-01T00:00:00.000Z"
    mark = Mark(
        rejected_id=UUID + "1", received_at=at, replayed_at=at, outcome="sent",
        accepted=2, stored=1, refused=1, topic="touchpoints", event_ids=("a", "b"),
    )  # fmt: skip
    return [Example(msgspec.json.encode(mark))]


def as_text(one: Example) -> Any:
    """ClickHouse reads it: `test_golden_rows`."""
    return json.loads(one.value)


_ROWS: dict[str, tuple[str, bytes, Callable[[Example], Any]]] = {
    "row.trail": ("trails", b"t:", of_trail),
    "row.counter": ("trails", b"e:", lambda one: engagement.unpack(one.value)),
    "row.assignment": ("trails", b"a:", lambda one: trail_rows.unpack_assignment(one.value)),
    "row.verdict": ("trails", b"v:", lambda one: trail_rows.unpack_verdict(one.value)),
    "row.node": ("graph", b"n:", of_graph(identity_rows.Node)),
    "row.cluster": ("graph", b"s:", of_graph(identity_rows.Cluster)),
    "row.link": ("graph", b"l:", of_graph(identity_rows.Link)),
    "row.link_end": ("graph", b"b:", of_graph(identity_rows.EmptyRow)),
    "row.command": ("graph", b"c:", of_graph(identity_rows.Command)),
    "row.profile": ("profiles", b"r:", of_profile),
}
#: The stage of each form of rows.
STAGE_OF = {name: stage for name, (stage, _, _) in _ROWS.items()}

FORMS: dict[str, Form] = {
    **{
        name: Form(rows_of(stage, prefix), body(read))
        for name, (stage, prefix, read) in _ROWS.items()
    },
    "local.rows": Form(local_rows, of_local_rows),
    "local.seen": Form(local_seen, of_local_seen),
    "changelog.seen": Form(changelog_seen, of_changelog_seen),
    "packed.feature": Form(packed_features, lambda one: shown_feature(one.value)),
    "packed.link_messages": Form(link_messages, lambda one: shown(messages.decode_link(one.value))),
    "kept.request": Form(kept_requests, lambda one: shown(ReplayContext.of(one.value.decode()))),
    "kept.policy": Form(policies, of_policy),
    "kept.replay_mark": Form(marks, as_text),
    **{f"topic.{table.topic.name}": Form(records(table.topic.name), as_text) for table in TABLES},
    "topic.touchpoints": Form(
        records(topics.TOUCHPOINTS.name), lambda one: shown(touchpoint_row.decode(one.value))
    ),
    "topic.trails": Form(records(topics.TRAILS.name), of_trail_message),
    "topic.identity.links": Form(
        records(topics.LINK_REQUESTS.name), lambda one: shown(messages.decode_link(one.value))
    ),
    "topic.identity.assignments": Form(
        records(topics.ASSIGNMENTS.name), lambda one: shown(messages.decode_assignment(one.value))
    ),
    "topic.touchpoints.rejected": Form(rejected, as_text),
    "topic.plan.violations": Form(violations, as_text),
    "topic.cursors": Form(cursors, read_cursor),
    "topic.control": Form(control, lambda one: asdict(decode(one.value, "brand"))),
}
