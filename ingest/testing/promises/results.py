"""Promises about what comes out of good payloads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ingest.connector import Result, original
from ingest.intake.accept import Accepted
from ingest.intake.replay_context import Origins, ReplayContext
from ingest.testing.promises.hooks import Hooks
from ingest.testing.values import (
    RECEIVED_MS,
    accepted,
    check_results,
    per_second,
    reversed_keys,
)
from schemas.rejection import Rejection
from schemas.touchpoint import Touchpoint


class Results(Hooks):
    """Touchpoints that are accepted, the same for the same request."""

    def test_every_payload_becomes_touchpoints_that_are_accepted(self) -> None:
        for name, request in self.requests().items():
            results = self.parse(request)
            assert results, name
            for result in results:
                assert isinstance(result, Touchpoint), (name, result)
                verdict = accepted(result, self.region)
                assert isinstance(verdict, Accepted), (name, verdict)

    def test_event_ids_are_distinct_within_the_payloads(self) -> None:
        touches = [result for request in self.requests().values() for result in self.parse(request)]
        assert len({touch.event_id for touch in touches}) == len(touches)

    def test_the_same_request_twice_gives_the_same_events(self) -> None:
        for request in self.requests().values():
            assert self.parse(request) == self.parse(request)

    def test_the_order_of_keys_changes_nothing(self) -> None:
        for name, value in self.payloads.items():
            turned = self.request(reversed_keys(value), name)
            assert self.parse(turned) == self.parse(self.request(value, name))

    def test_a_field_of_tomorrow_changes_nothing_but_properties(self) -> None:
        for name, value in self.payloads.items():
            results = self.parse(self.request(self.with_extra(value), name))
            assert _without_properties(results) == _without_properties(
                self.parse(self.request(value, name))
            )

    def test_what_is_kept_of_each_event_is_read_again_as_it_was(self) -> None:
        """Read as a replay does: without key, signature and the other events of the body."""
        connector = self.make(self.secrets[0])
        for name, request in self.requests().items():
            origins = Origins("source", connector, request)
            for result in self.parse(request):
                assert isinstance(result, Touchpoint), (name, result)
                payload = original(result)
                origin = origins.of(Rejection("invalid", "", payload))
                assert origin.form in ("body", "event"), (
                    f"{name}: what is kept is a part of the body, and `around` does not say what "
                    "stands before and behind one"
                )
                again = ReplayContext.of(origin.request).request(payload)
                found = self.parse(again)
                assert found == ([result] if origin.form == "event" else self.parse(request)), name
                assert not any(secret in origin.request for secret in self.secrets)

    def test_throughput(self, record_property: Callable[[str, object], None]) -> None:
        """Measure and show the throughput, from signature to record; none fails the test."""
        connector = self.make(self.secrets[0])
        request = max(self.requests().values(), key=lambda request: len(request.body))

        def run() -> int:
            connector.verify(request, RECEIVED_MS)
            results = self.parse(request)
            check_results(results)
            return len(results)

        record_property("events_per_second", per_second(run))


def _without_properties(results: list[Result]) -> list[Any]:
    return [
        result.model_dump(exclude={"properties"}) if isinstance(result, Touchpoint) else result
        for result in results
    ]
