"""Promises about data that is wrong: a touchpoint or a rejection, never an exception."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ingest.connector import Request
from ingest.testing.promises.hooks import Hooks
from ingest.testing.values import (
    JSON,
    RECEIVED_MS,
    RELAXED,
    UNREADABLE,
    UNUSABLE,
    check_results,
    places,
    put,
)
from schemas.rejection import Rejection
from schemas.touchpoint import Touchpoint


class BadData(Hooks):
    """Bad data is a value, and no detail repeats one."""

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
