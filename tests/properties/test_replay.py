"""A replay of refusals, broken off anywhere and however often, accepts each payload once."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.operations.rejected.assessment import Assessor
from deploy.operations.rejected.log import Mark, Refusal, RefusalSelection, TouchKey
from deploy.operations.rejected.replay import Replay, ReplayError
from ingest.connector import WebhookConnector
from ingest.gateway.config import Source
from ingest.intake.accept import SourcePolicy
from ingest.intake.limits import Limits
from ingest.intake.replay_context import ReplayContext
from ingest.publishing.port import Message, NotAcknowledged
from ingest.registry import Registry
from schemas import touchpoint_row
from schemas.rejection import Form
from schemas.times import DAY_MS, SECOND_MS, parse_ms, rfc3339
from schemas.topics import ENGAGEMENT, REJECTED, TOUCHPOINTS
from schemas.touchpoint_row import TouchpointRow
from tests.support.refusals import refusal_of_topic

WINDOW_MS = 7 * DAY_MS
BEGAN_MS = 1_790_000_000_000
#: Where a run is broken off: before or behind this many records of a send, at a mark, or not.
CRASHES = ("none", "check", "send", "mark", "marked")


class Crash(Exception):
    """The process has ended here."""


class World:
    """Kafka, the home of touches with its window, and ClickHouse: what a replay stands between."""

    def __init__(self, chunk: int) -> None:
        self.now_ms = BEGAN_MS
        self.chunk = chunk
        self.refusals: list[tuple[int, Refusal]] = []
        self.marks: dict[tuple[str, str], Mark] = {}
        #: What Kafka has and nobody has read.
        self.waiting: list[Message] = []
        self.sent: list[Message] = []
        #: When the home saw an event last; how often it was folded into its trail.
        self.seen: dict[TouchKey, int] = {}
        self.folded: Counter[TouchKey] = Counter()
        self.touchpoints: dict[TouchKey, TouchpointRow] = {}
        self.returned: set[bytes] = set()
        self.crash, self.at = "none", 0

    # The ports of a replay

    def open(self, selection: RefusalSelection, now_ms: int) -> Iterator[list[Refusal]]:
        there = [
            refusal
            for inserted_ms, refusal in self.refusals
            if inserted_ms <= now_ms and _name(refusal) not in self.marks
        ]
        there.sort(key=lambda one: (one.received_ms, one.rejected_id))
        for start in range(0, len(there), self.chunk):
            yield there[start : start + self.chunk]

    def stored(self, touches: Collection[TouchpointRow]) -> set[TouchKey]:
        return {TouchKey.of(one) for one in touches} & self.touchpoints.keys()

    def mark(self, marks: Sequence[Mark]) -> None:
        self._step("mark")
        for one in marks:
            name = (one.rejected_id, one.received_at)
            assert name not in self.marks, "marked twice"
            self.marks[name] = one
        self._step("marked")

    def check(self) -> None:
        self._step("check")

    def send(self, records: Sequence[Message]) -> None:
        for record in records:
            self._step("send")
            self.waiting.append(record)
            self.sent.append(record)
        self._step("send")

    def _step(self, name: str) -> None:
        if name == self.crash:
            self.at -= 1
            if self.at < 0:
                raise NotAcknowledged("gone") if name == "send" else Crash

    # The world around it

    def accept(self, row: TouchpointRow) -> None:
        """Accept a touch as its home does."""
        place = TouchKey.of(row)
        last = self.seen.get(place)
        if last is None or self.now_ms - last > WINDOW_MS:
            self.folded[place] += 1
            self.touchpoints.setdefault(place, row)
            self.seen[place] = self.now_ms

    def drain(self) -> None:
        """Everything that Kafka has is processed and stored."""
        for record in self.waiting:
            if record.topic == TOUCHPOINTS.name:
                self.accept(touchpoint_row.decode(record.value))
            elif record.topic == REJECTED.name:
                self._refuse(record.value)
            else:
                self.returned.add(record.value)
        self.waiting.clear()

    def _refuse(self, value: bytes) -> None:
        refusal = refusal_of_topic(value)
        if all(_name(refusal) != _name(known) for _, known in self.refusals):
            self.refusals.append((self.now_ms, refusal))

    def wait(self, ms: int, *, drained: bool) -> None:
        # Whoever reads is never behind for longer than Kafka keeps.
        if drained or ms >= WINDOW_MS:
            self.drain()
        self.now_ms += ms

    def run(self, assessor: Assessor, crash: str = "none", at: int = 0) -> None:
        self.crash, self.at = crash, at
        replay = Replay(self, assessor, self, lambda: self.now_ms)
        try:
            replay.run(RefusalSelection(), self.now_ms)
        except (Crash, ReplayError):
            assert crash != "none"
        self.crash = "none"


def _name(refusal: Refusal) -> tuple[str, str]:
    return refusal.rejected_id, rfc3339(refusal.received_ms)


def assessor() -> Assessor:
    made = Registry().create("touchpoint", {"token": "t"})
    assert isinstance(made, WebhookConnector)
    source = Source(made, SourcePolicy("crm"))
    return Assessor({"crm": source}, Limits(), epoch=1)


def event(number: int, *, good: bool) -> dict[str, Any]:
    """A bad one is still refused whatever is mended."""
    fields = {
        "event_id": f"e{number}",
        "channel": "store",
        "type": "store_visited",
        "identifiers": [{"kind": "customer_id", "value": f"c{number % 3}"}],
    }
    return fields if good else {**fields, "type": 1}


@st.composite
def worlds(draw: st.DrawFn) -> tuple[World, set[str], set[str]]:
    """A world with refusals; the ids of events to be accepted, and of those that never are."""
    world = World(draw(st.integers(1, 4)))
    good, bad = set(), set()
    number = 0
    for index in range(draw(st.integers(1, 6))):
        form: Form = draw(st.sampled_from(("body", "event", "record")))
        size = draw(st.integers(1, 4)) if form == "body" else 1
        events = []
        for _ in range(size):
            number += 1
            fine = form == "record" or draw(st.booleans())
            events.append(event(number, good=fine))
            (good if fine else bad).add(f"e{number}")
        received_ms = BEGAN_MS - draw(st.integers(1, 20)) * DAY_MS
        refusal = _refusal(index, form, events, received_ms)
        world.refusals.append((received_ms, refusal))
        # A connector that failed in the middle: its first event was accepted then.
        if form == "body" and draw(st.booleans()):
            for touch in assessor().assess(refusal).touches[:1]:
                world.now_ms = received_ms
                world.accept(touch.row)
    world.refusals.append((BEGAN_MS, _returned(draw(st.integers(0, 3)))))
    world.now_ms = BEGAN_MS
    return world, good, bad


def _refusal(index: int, form: Form, events: Sequence[dict[str, Any]], received_ms: int) -> Refusal:
    kept = ReplayContext("/v1/events", {}, *((b"[", b"]") if form == "event" else (b"", b"")))
    payload = msgspec.json.encode(list(events) if form == "body" else events[0])
    refusal = Refusal(
        rejected_id=str(uuid.UUID(int=index + 1)),
        source="crm",
        connector="touchpoint",
        reason="processing_failed",
        detail="",
        payload=payload,
        form=form,
        request=kept.text(),
        topic="",
        partition=0,
        key=b"",
        epoch=0,
        received_ms=received_ms,
    )
    if form != "record":
        return refusal
    (touch,) = assessor().assess(replace(refusal, form="body")).touches
    return replace(
        refusal,
        source="",
        topic=TOUCHPOINTS.name,
        payload=touch.record.value,
        key=touch.record.key,
    )


def _returned(number: int) -> Refusal:
    """A row that ClickHouse refused, of the present epoch."""
    refusal = _refusal(100 + number, "event", [event(0, good=True)], BEGAN_MS)
    return replace(
        refusal, form="record", source="", topic=ENGAGEMENT.name, payload=b'{"n":1}', epoch=1
    )


runs = st.lists(
    st.tuples(
        st.sampled_from(CRASHES),
        st.integers(0, 5),
        st.sampled_from((SECOND_MS, 3 * DAY_MS, 8 * DAY_MS)),
        st.booleans(),
    ),
    max_size=5,
)


@settings(max_examples=300)
@given(made=worlds(), broken=runs)
def test_each_payload_is_accepted_once_wherever_replays_are_broken_off(
    made: tuple[World, set[str], set[str]],
    broken: Sequence[tuple[str, int, int, bool]],
) -> None:
    world, good, bad = made
    bodies = {refusal.rejected_id for _, refusal in world.refusals}
    for crash, at, pause_ms, drained in broken:
        world.run(assessor(), crash, at)
        world.wait(pause_ms, drained=drained)
    world.run(assessor())
    world.wait(8 * DAY_MS, drained=True)
    sent = len(world.sent)
    world.run(assessor())
    assert len(world.sent) == sent, "what has succeeded was sent again"

    counted = {place.event_id: number for place, number in world.folded.items()}
    assert counted == dict.fromkeys(good, 1)
    assert {place.event_id for place in world.touchpoints} == good
    assert world.returned == {b'{"n":1}'}
    # What is refused for good is still there to be read, once: alone, or in what stays as it was.
    left = [
        told["event_id"]
        for _, refusal in world.refusals
        if _name(refusal) not in world.marks
        for told in _events(refusal)
    ]
    assert sorted(left) == sorted(bad)
    # The time of receipt is that of the refusal, however late the replay.
    received = {one.received_ms for _, one in world.refusals if one.rejected_id in bodies}
    assert {parse_ms(row.received_at) for row in world.touchpoints.values()} <= received


def _events(refusal: Refusal) -> list[dict[str, Any]]:
    told = msgspec.json.decode(refusal.payload)
    return told if isinstance(told, list) else [told]


@given(made=worlds())
def test_what_a_replay_itself_refuses_anew_waits_for_the_next_one(
    made: tuple[World, set[str], set[str]],
) -> None:
    world, _, _ = made
    there = {_name(refusal) for _, refusal in world.refusals}
    began_ms = world.now_ms
    # ClickHouse has what is refused anew while the replay still goes on.
    world.wait(SECOND_MS, drained=True)
    replay = Replay(_Eager(world), assessor(), world, lambda: world.now_ms)
    replay.run(RefusalSelection(), began_ms)
    assert world.marks.keys() <= there


class _Eager:
    """The store, in which everything that was sent shows before the next page is read."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.stored = world.stored
        self.mark = world.mark

    def open(self, selection: RefusalSelection, now_ms: int) -> Iterator[list[Refusal]]:
        for page in self._world.open(selection, now_ms):
            yield page
            self._world.drain()


def test_what_is_broken_off_says_how_to_go_on() -> None:
    world = World(1)
    for number in (1, 2):
        refusal = _refusal(number, "event", [event(number, good=True)], BEGAN_MS - number)
        world.refusals.append((BEGAN_MS - 1, refusal))
    world.crash, world.at = "send", 2
    replay = Replay(world, assessor(), world, lambda: world.now_ms)
    with pytest.raises(ReplayError, match=r"gone; 1 were replayed before: give the same command"):
        replay.run(RefusalSelection(), world.now_ms)
    assert len(world.marks) == 1
