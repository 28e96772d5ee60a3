"""The promises of every webhook connector, as tests: subclass `ConnectorSuite`, fill in the hooks.

    class MyContract(ConnectorSuite):
        name = "mine"
        payloads = load(Path(__file__).parent / "payloads")

        def make(self, *secrets): ...
        def signed(self, body, secret, name=""): ...

`payloads` are request bodies as the provider documents them; all of their touches are valid.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ingest.connector import (
    INTERFACE_VERSION,
    Context,
    Options,
    Request,
    Result,
    WebhookConnector,
    original,
)
from ingest.intake.accept import Accepted
from ingest.intake.replay_context import Origins, ReplayContext
from ingest.registry import Registry
from ingest.testing.values import (
    JSON,
    RECEIVED_MS,
    RELAXED,
    UNREADABLE,
    UNUSABLE,
    WRONG,
    accepted,
    at,
    check_results,
    damaged,
    per_second,
    places,
    put,
    reversed_keys,
    with_field,
    written_otherwise,
)
from schemas.rejection import Rejection
from schemas.times import DAY_MS
from schemas.touchpoint import Touchpoint


class ConnectorSuite:
    """The hooks, then the promises, whose names `touchline connectors test` shows."""

    #: Name of the connector's entry point.
    name: ClassVar[str]
    payloads: ClassVar[dict[str, Any]]
    #: Names of secrets: of the source, its second one, and one of another source.
    secrets: ClassVar[tuple[str, str, str]] = (
        "first-secret-5Xw",
        "second-secret-8Lq",
        "foreign-3Tz",
    )
    #: True if the signature covers all of the body; False if only parts, or if there is only a key.
    signs_body: ClassVar[bool] = True
    #: True if the time is signed too, so that old requests are refused.
    signs_time: ClassVar[bool] = False
    #: ISO 3166 region of phone numbers in `payloads` that name no country.
    region: ClassVar[str | None] = None
    #: Values that are put in place of each value of the payloads.
    wrong_values: ClassVar[tuple[Any, ...]] = WRONG
    #: Suites of the other forms in which the connector is used, by name: tested with this one.
    variants: ClassVar[Mapping[str, type[ConnectorSuite]]] = {}

    def make(self, *secrets: str) -> WebhookConnector:
        """Return a connector whose source has these secrets."""
        raise NotImplementedError

    def signed(self, body: bytes, secret: str, name: str = "") -> Request:
        """Return the provider's request with a body. `name`: of the payload, if it is one."""
        raise NotImplementedError

    def unsigned(self, request: Request) -> Iterator[Request]:
        """Yield the request without its signature, in each way in which it may be missing."""
        for headers in ({}, {"content-type": request.headers.get("content-type", "")}):
            yield request._replace(headers=headers)

    def encode(self, value: Any) -> bytes:
        """Return the body of a payload."""
        return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")

    def with_extra(self, value: Any) -> Any:
        """Return a payload with a field that the connector does not know."""
        return with_field(value)

    # Helpers

    def request(self, value: Any, name: str = "") -> Request:
        """Return the signed request with a payload."""
        return self.signed(self.encode(value), self.secrets[0], name)

    def parse(self, request: Request, **context: Any) -> list[Result]:
        """Return what a new connector makes of a request."""
        connector = self.make(self.secrets[0])
        return list(connector.parse(request, Context("source", RECEIVED_MS, **context)))

    def requests(self) -> dict[str, Request]:
        """Return the signed requests with all payloads."""
        return {name: self.request(value, name) for name, value in self.payloads.items()}

    def people(self, request: Request) -> list[dict[str, list[str]]]:
        """Return the identifiers of each touchpoint of a request as they are published."""
        verdicts = [
            accepted(result, self.region)
            for result in self.parse(request)
            if isinstance(result, Touchpoint)
        ]
        return [
            json.loads(verdict.value)["identifiers"]
            for verdict in verdicts
            if isinstance(verdict, Accepted)
        ]

    def _known(self, value: Any, name: str) -> set[tuple[str, str]]:
        results = self.parse(self.request(value, name))
        touches = [result for result in results if isinstance(result, Touchpoint)]
        return {(i.value, i.kind) for touch in touches for i in touch.identifiers}

    # The interface

    def test_is_found_by_its_entry_point(self) -> None:
        connector = self.make(self.secrets[0])
        assert Registry().load(self.name) is type(connector)
        assert connector.name == self.name
        assert connector.interface == INTERFACE_VERSION
        assert connector.doc
        assert "\n" not in connector.doc
        assert issubclass(connector.options, Options)

    def test_refuses_options_that_it_does_not_know(self) -> None:
        with pytest.raises(ValidationError, match="an_option_of_tomorrow"):
            self.make(self.secrets[0]).options.model_validate({"an_option_of_tomorrow": 1})

    def test_refuses_an_empty_secret(self) -> None:
        for empty in ((), ("",), ("", self.secrets[0])):
            with pytest.raises(ValidationError):
                self.make(*empty)

    # The signature

    def test_a_signed_request_passes(self) -> None:
        connector = self.make(self.secrets[0])
        for name, request in self.requests().items():
            assert connector.verify(request, RECEIVED_MS), name

    def test_each_of_two_secrets_is_valid_during_a_rotation(self) -> None:
        connector = self.make(*self.secrets[:2])
        name, value = next(iter(self.payloads.items()))
        for secret in self.secrets[:2]:
            request = self.signed(self.encode(value), secret, name)
            assert connector.verify(request, RECEIVED_MS), secret

    def test_a_foreign_secret_is_refused(self) -> None:
        connector = self.make(*self.secrets[:2])
        for name, value in self.payloads.items():
            request = self.signed(self.encode(value), self.secrets[2], name)
            assert not connector.verify(request, RECEIVED_MS), name

    def test_a_request_without_signature_is_refused(self) -> None:
        connector = self.make(self.secrets[0])
        for name, request in self.requests().items():
            for unsigned in self.unsigned(request):
                assert not connector.verify(unsigned, RECEIVED_MS), (name, unsigned)

    def test_a_damaged_signature_is_refused_without_an_exception(self) -> None:
        connector = self.make(self.secrets[0])
        request = next(iter(self.requests().values()))
        # What `parse` reads is no signature; some providers leave it unsigned.
        plain = {"content-encoding", *connector.reads}
        for header in request.headers.keys() - plain:
            for damage in (
                "",
                "x",
                "=",
                "é",
                "\udc80",
                "9" * 5000,
                request.headers[header][:-2] + "!!",
            ):
                headers = {**request.headers, header: damage}
                changed = request._replace(headers=headers)
                assert not connector.verify(changed, RECEIVED_MS), (header, damage)

    def test_a_changed_body_is_refused(self) -> None:
        if not self.signs_body:
            pytest.skip("the provider does not sign all of the body")
        connector = self.make(self.secrets[0])
        for name, request in self.requests().items():
            for changed in damaged(request.body):
                assert not connector.verify(request._replace(body=changed), RECEIVED_MS), name

    def test_an_old_request_is_refused(self) -> None:
        if not self.signs_time:
            pytest.skip("the provider signs no time")
        connector = self.make(self.secrets[0])
        for name, request in self.requests().items():
            assert not connector.verify(request, RECEIVED_MS + 30 * DAY_MS), name

    # What comes out

    def test_every_payload_becomes_touchpoints_that_are_accepted(self) -> None:
        for name, request in self.requests().items():
            results = self.parse(request)
            assert results, name
            for result in results:
                assert isinstance(result, Touchpoint), (name, result)
                verdict = accepted(result, self.region)
                assert isinstance(verdict, Accepted), (name, verdict)

    def test_the_customer_is_the_same_however_an_identifier_is_written(self) -> None:
        for name, value in self.payloads.items():
            people = self.people(self.request(value, name))
            known = self._known(value, name)
            for path in places(value):
                for other in written_otherwise(at(value, path), known):
                    changed = self.request(put(value, path, other), name)
                    assert self.people(changed) == people, (name, path, other)

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

    # What is kept of a refusal

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

    # Bad data

    def test_an_object_of_somebody_else_is_refused(self) -> None:
        for value in ({}, {"aFieldOfTomorrow": {"x": [1]}}, {"id": 1, "name": "somebody"}):
            results = self.parse(self.request(value))
            assert not any(isinstance(result, Touchpoint) for result in results), value

    def test_an_unreadable_body_is_one_rejection_with_its_bytes(self) -> None:
        for name, body in UNREADABLE.items():
            results = self.parse(self.signed(body, self.secrets[0]))
            assert len(results) == 1, name
            assert isinstance(results[0], Rejection), name
            assert results[0].reason in ("unreadable", "invalid", "unsupported"), name
            # Of an array, its one element may be kept.
            assert results[0].payload in (body, body[1:-1]), name

    def test_a_number_that_json_cannot_carry_is_one_rejection(self) -> None:
        for name, body in UNUSABLE.items():
            results = self.parse(self.signed(body, self.secrets[0]))
            assert [type(result) for result in results] == [Rejection], name
            assert all(result.payload for result in results if isinstance(result, Rejection)), name

    def test_a_wrong_value_anywhere_is_refused_or_kept_never_an_exception(self) -> None:
        for name, value in self.payloads.items():
            for path in places(value):
                for wrong in self.wrong_values:
                    results = self.parse(self.request(put(value, path, wrong), name))
                    check_results(results)
                    assert all(r.payload for r in results if isinstance(r, Rejection)), path

    def test_half_of_an_emoji_costs_no_event(self) -> None:
        for name, value in self.payloads.items():
            body = self.encode(self.with_extra(value)).replace(b'"x"', b'"\\ud83d"')
            results = self.parse(self.signed(body, self.secrets[0], name))
            assert all(isinstance(result, Touchpoint) for result in results), name

    def test_shows_no_secret(self) -> None:
        connector = self.make(*self.secrets[:2])
        shown = [repr(connector), str(connector), repr(vars(connector).get("_options"))]
        for request in self.requests().values():
            damaged = request._replace(body=request.body[:-1])
            shown += [str(result) for result in self.parse(damaged)]
        for secret in self.secrets:
            assert not any(secret in text for text in shown)

    @RELAXED
    @given(body=st.binary(max_size=200))
    def test_any_bytes_give_results(self, body: bytes) -> None:
        self._fuzz(self.signed(body, self.secrets[0]))

    @RELAXED
    @given(value=JSON)
    def test_any_json_gives_results(self, value: Any) -> None:
        self._fuzz(self.signed(json.dumps(value).encode(), self.secrets[0]))

    @RELAXED
    @given(data=st.data())
    def test_any_change_of_a_payload_gives_results(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.payloads)))
        value = self.payloads[name]
        for _ in range(data.draw(st.integers(1, 3))):
            value = put(value, data.draw(st.sampled_from(list(places(value)))), data.draw(JSON))
            if not list(places(value)):
                break
        self._fuzz(self.request(value, name))

    def _fuzz(self, request: Request) -> None:
        connector = self.make(self.secrets[0])
        connector.verify(request, RECEIVED_MS)
        connector.reply(request)
        results = self.parse(request)
        check_results(results)
        assert self.parse(request) == results

    # Speed

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
