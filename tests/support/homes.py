"""One home partition of the stage `trails`, fed by hand."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec

from ingest.intake.accept import Accepted, SourcePolicy, accept
from processors.stage import Decision, Record
from processors.trails.stage import TrailsStage
from schemas import messages, topics, trail
from schemas.identifiers import identifier_id
from schemas.messages import Assignment, TrailUpdate
from schemas.touchpoint import Touchpoint
from schemas.trail import FeatureKey, Trail
from tests.support.pipeline import MemoryStore
from tests.support.touches import MAY


class Home:
    """The stage over a store; keeps the records it was given and all that it published."""

    def __init__(self, features: Collection[FeatureKey] = ()) -> None:
        self.stage = TrailsStage(1, 3, frozenset(features))
        self.store = MemoryStore(self.stage)
        self.log: dict[str, list[Record]] = {name: [] for name in self.stage.inputs}
        self.now_ms = MAY + 60_000

    def records(self, *touches: Touchpoint, source: str = "test") -> list[Record]:
        """The touches as the gateway would append them."""
        found = []
        for touch in touches:
            accepted = accept(touch, SourcePolicy(source, region="JP"), self.now_ms, b"")
            assert isinstance(accepted, Accepted), accepted
            found.append(self.append(topics.TOUCHPOINTS.name, accepted.key, accepted.value))
        return found

    def answer(self, kind: str, value: str, owner: tuple[str, str], version: int) -> Record:
        """The graph's answer that an identifier belongs to the profile of another."""
        one = Assignment(
            identifier_id(kind, value), kind, value, identifier_id(*owner), version, MAY
        )
        return self.append(
            topics.ASSIGNMENTS.name, one.identifier_id.encode(), messages.encode(one)
        )

    def append(self, topic: str, key: bytes, value: bytes) -> Record:
        log = self.log[topic]
        log.append(Record(topic, 0, len(log), self.now_ms, key, value))
        return log[-1]

    def decide(self, *records: Record) -> Published:
        """Decide without applying: the process ends here."""
        published = Published(self.stage.decide(list(records), self.store))
        self.store.forget()
        return published

    def take(self, *records: Record) -> Published:
        """Decide and apply."""
        published = Published(self.stage.decide(list(records), self.store))
        self.store.apply(published.decision)
        return published

    def touch(self, *touches: Touchpoint, source: str = "test") -> Published:
        return self.take(*self.records(*touches, source=source))


class Published:
    """The records that a decision publishes, by topic."""

    def __init__(self, decision: Decision) -> None:
        self.decision = decision

    def updates(self) -> dict[tuple[str, str], TrailUpdate]:
        """(profile, value of the identifier) -> update."""
        found = {}
        for out in self.decision.outputs:
            if out.topic == topics.TRAILS.name:
                message = messages.decode_trail_message(out.value)
                assert isinstance(message, TrailUpdate)
                found[out.key.decode(), message.value] = message
        return found

    def trail(self) -> Trail:
        """The only trail."""
        (update,) = self.updates().values()
        assert update.trail
        return trail.decode(update.trail)

    def links(self) -> list[tuple[str, str]]:
        """Values of lead and other of the link requests."""
        asked = [
            messages.decode_link(out.value)
            for out in self.decision.outputs
            if out.topic == topics.LINK_REQUESTS.name
        ]
        return [(one.lead_value, one.value) for one in asked]

    def rows(self, topic: str) -> list[dict[str, Any]]:
        return [
            msgspec.json.decode(out.value) for out in self.decision.outputs if out.topic == topic
        ]
