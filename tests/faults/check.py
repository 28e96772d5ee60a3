"""Conservation: what ClickHouse shows against what the gateway promised, by the slow references."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from typing import Any, NamedTuple

from kafka import KafkaConsumer, TopicPartition

from schemas import messages, times, topics
from schemas.identifiers import Identifier, identifier_id
from schemas.messages import LinkMessage
from sinks.clickhouse.tables import databases
from tests.faults.load import POLICY, Ledger
from tests.support import profile_reference
from tests.support.identity_reference import Reference
from tests.support.pipeline_checks import who_is_who
from tests.support.system import SOURCES, System

UNTRUSTED = [name for name, source in SOURCES.items() if not source.get("links", True)]
_COLUMNS = (
    "customer_id", "email", "phone", "traits", "consent", "first_seen_at", "last_seen_at",
    "touchpoints", "channels", "orders", "segments",
)  # fmt: skip
_SHOWN = 5


@dataclass
class Found:
    """The findings of a check. Everything is empty or 0 where nothing was lost or doubled."""

    lost: int = 0
    doubled: int = 0
    #: What differs -> some of it, in words.
    differences: dict[str, list[str]] = field(default_factory=dict)

    def differ(self, what: str, lines: Iterable[str]) -> None:
        some = sorted(lines)
        if some:
            self.differences[what] = [*some[:_SHOWN], f"{len(some)} in all"]


class People:
    """The people by the log of links, read from the broker as it grows.

    Links of households that share nothing are independent: each has a reference of its own.
    """

    def __init__(self, servers: str, namespace: str) -> None:
        self._partition = TopicPartition(topics.full_name(namespace, topics.LINK_REQUESTS.name), 0)
        self._servers = servers
        self._log: list[tuple[LinkMessage, int]] = []
        self._next = 0
        #: First message of a part -> its messages, and what they come to.
        self._parts: dict[int, tuple[list[int], Reference]] = {}
        self.known: dict[Identifier, Identifier] = {}
        self.conflicts: Counter[tuple[str, ...]] = Counter()

    def profiles(self) -> dict[Identifier, Identifier]:
        """See `Reference.profiles`."""
        return self.known

    def update(self) -> None:
        """Read the log to its end and derive everything from it."""
        self._read()
        parts: dict[Identifier, list[int]] = {}
        for number, (message, _) in enumerate(self._log):
            ends = _ends(message)
            joined = sorted({n for end in ends for n in parts.get(end, [])} | {number})
            for end in {e for n in joined for e in _ends(self._log[n][0])}:
                parts[end] = joined
        self.known, self.conflicts = {}, Counter()
        different = {id(part): part for part in parts.values()}.values()
        self._parts = {part[0]: self._derived(part) for part in different}
        for _, reference in self._parts.values():
            self.known |= reference.profiles()
            for (_, other, reason), (lead, stays) in reference.conflicts.items():
                self.conflicts[(*other, identifier_id(*stays), identifier_id(*lead), reason)] += 1

    def _derived(self, part: list[int]) -> tuple[list[int], Reference]:
        done, reference = self._parts.get(part[0], ([], Reference(POLICY, UNTRUSTED)))
        if part[: len(done)] != done:  # two households have met
            done, reference = [], Reference(POLICY, UNTRUSTED)
        for number in part[len(done) :]:
            reference.take(*self._log[number])
        return part, reference

    def _read(self) -> None:
        consumer = KafkaConsumer(bootstrap_servers=self._servers, enable_auto_commit=False)
        try:
            consumer.assign([self._partition])
            [end] = consumer.end_offsets([self._partition]).values()
            consumer.seek(self._partition, self._next)
            while self._next < end:
                for record in consumer.poll(1000).get(self._partition, ()):
                    self._log.append((messages.decode_link(record.value), record.timestamp))
                    self._next = record.offset + 1
        finally:
            consumer.close()


def _ends(message: LinkMessage) -> tuple[Identifier, Identifier]:
    return (
        Identifier(message.lead_kind, message.lead_value),
        Identifier(message.kind, message.value),
    )


class Wanted(NamedTuple):
    """The content that must be shown, at the moments before and after looking."""

    who: dict[Identifier, str]
    before: dict[str, dict[str, Any]]
    after: dict[str, dict[str, Any]]


def check(system: System, ledger: Ledger, people: People, slack_s: float) -> Found:
    """Compare everything that BI sees. Nothing may be under way.

    What time alone changes may be early or late by `slack_s`.
    """
    found = Found()
    people.update()
    touches = list(ledger.kept.values())
    who = who_is_who(people, touches)  # type: ignore[arg-type]  # it asks for `profiles` only
    now_ms, slack_ms = times.now_ms(), int(slack_s * 1000)
    before = profile_reference.profiles(touches, who, POLICY, now_ms - slack_ms)
    _check_events(system, ledger, who, found)
    _check_people(system, who, people, found)
    _check_engagement(system, profile_reference.engagement(touches), found)
    shown = {row["profile_id"]: row for row in system.view("SELECT * FROM {bi}.profiles")}
    members = _members(system)
    now_ms = times.now_ms()
    after = profile_reference.profiles(touches, who, POLICY, now_ms + slack_ms)
    _check_profiles(Wanted(who, before, after), shown, members, found)
    _check_changes(system, members, found)
    found.differ("surprising answers", ledger.surprises)
    return found


def _members(system: System) -> set[tuple[str, str]]:
    rows = system.view("SELECT segment, profile_id FROM {bi}.segment_members")
    return {(row["segment"], row["profile_id"]) for row in rows}


def _check_events(
    system: System, ledger: Ledger, who: Mapping[Identifier, str], found: Found
) -> None:
    rows = system.view("SELECT source, event_id, profile_id, occurred_at FROM {bi}.touchpoints")
    names = Counter((row["source"], row["event_id"]) for row in rows)
    refused = {
        (row["source"], row["name"])
        for row in system.view(
            "SELECT source, JSONExtractString(payload, 'event_id') AS name"
            " FROM {bi}.rejected_touchpoints"
        )
    }
    lost = (ledger.kept.keys() - names.keys()) | (ledger.refused - refused)
    found.lost += len(lost)
    found.differ("lost", map(repr, lost))
    found.differ("never sent", map(repr, names.keys() - ledger.kept.keys()))
    twice = {name for name, count in names.items() if count > 1}
    found.doubled += len(twice)
    found.differ("twice in touchpoints", map(repr, twice))
    wrong = set()
    for row in rows:
        kept = ledger.kept.get((row["source"], row["event_id"]))
        if kept is not None:
            lead = Identifier(kept.lead_kind, kept.lead_value)
            said = (row["profile_id"], row["occurred_at"])
            if said != (who[lead], kept.occurred_at):
                wrong.add(f"{kept.event_id} of {lead}: {said} not {who[lead]} {kept.occurred_at}")
    found.differ("touchpoints", wrong)


def _check_people(
    system: System, who: Mapping[Identifier, str], people: People, found: Found
) -> None:
    shown = {
        Identifier(row["kind"], row["value"]): row["profile_id"]
        for row in system.view("SELECT kind, value, profile_id FROM {bi}.identities")
    }
    _differ("identities", shown, who, found)
    columns = ("kind", "value", "profile_id", "other_profile_id", "reason")
    rows = system.view(f"SELECT {', '.join(columns)} FROM {{bi}}.identity_conflicts")
    conflicts = Counter(tuple(row[name] for name in columns) for row in rows)
    _differ("conflicts", conflicts, people.conflicts, found)


def _check_engagement(
    system: System, wanted: Mapping[tuple[str, ...], tuple[int, float, float]], found: Found
) -> None:
    columns = ("window_start", "channel", "type", "source", "campaign_name", "value_currency")
    shown = {
        tuple(row[name] for name in columns): (
            row["touchpoints"],
            float(row["value_amount"]),
            round(row["duration_s"], 3),
        )
        for row in system.view("SELECT * FROM {bi}.engagement_hourly")
    }
    # ClickHouse shows whole seconds there.
    whole = {(hour.replace(".000Z", "Z"), *rest): value for (hour, *rest), value in wanted.items()}
    _differ("engagement", shown, whole, found)


def _check_profiles(
    wanted: Wanted,
    shown: Mapping[str, dict[str, Any]],
    members: set[tuple[str, str]],
    found: Found,
) -> None:
    found.differ("profiles of nobody", shown.keys() - wanted.before.keys())
    ours: dict[str, set[str]] = {}
    for segment, member in members:
        ours.setdefault(member, set()).add(segment)
    wrong = set()
    for key, row in wanted.before.items():
        there = _comparable(shown[key]) if key in shown else dict.fromkeys(row)
        found.doubled += max(0, (there["touchpoints"] or 0) - row["touchpoints"])
        settled, unsettled = _segments(row, wanted.after[key])
        for name in row.keys() - {"segments"}:
            if there[name] != row[name]:
                wrong.add(f"{key} {name}: {there[name]} not {row[name]}")
        for what, some in (
            ("segments", set(there["segments"] or ())),
            ("membership", ours.get(key, set())),
        ):
            if some - unsettled != settled:
                wrong.add(f"{key} {what}: {sorted(some - unsettled)} not {sorted(settled)}")
    found.differ("profiles", wrong)


def _segments(before: dict[str, Any], after: dict[str, Any]) -> tuple[set[str], set[str]]:
    """Those that it is in for certain, and those that just begin or end."""
    one, other = set(before["segments"]), set(after["segments"])
    return one & other, one ^ other


def _check_changes(system: System, members: set[tuple[str, str]], found: Found) -> None:
    """Entries and exits take turns, and add up to the members."""
    storage = databases(system.namespace).storage
    rows = system.view(
        f"SELECT segment, profile_id, version, change FROM {storage}.segment_changes FINAL"
    )
    changes: dict[tuple[str, str], list[str]] = {}
    for row in sorted(rows, key=lambda row: row["version"]):
        changes.setdefault((row["segment"], row["profile_id"]), []).append(row["change"])
    found.differ(
        "changes that do not alternate",
        (
            f"{key}: {kinds}"
            for key, kinds in changes.items()
            if kinds[0] != "entered" or any(a == b for a, b in pairwise(kinds))
        ),
    )
    inside = {key for key, kinds in changes.items() if kinds[-1] == "entered"}
    # Who entered or left meanwhile is in one of the two.
    wrong = (inside ^ members) & (inside ^ _members(system))
    found.differ("members that changes do not add up to", map(str, wrong))


def _differ(what: str, shown: Mapping[Any, Any], wanted: Mapping[Any, Any], found: Found) -> None:
    keys = {key for key in shown.keys() | wanted.keys() if shown.get(key) != wanted.get(key)}
    found.differ(what, (f"{key}: {shown.get(key)} not {wanted.get(key)}" for key in keys))


def _comparable(row: dict[str, Any]) -> dict[str, Any]:
    revenue = {currency: Decimal(amount) for currency, amount in row["revenue"].items()}
    return {name: row[name] for name in _COLUMNS} | {"revenue": revenue}
