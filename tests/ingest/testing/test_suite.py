"""The suite for webhooks turns red for a connector that breaks a promise."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from ingest.connector import Context, Request, Result
from ingest.connectors.line.connector import SIGNATURE, Line, LineOptions
from ingest.connectors.line.contract import LineContract
from schemas.rejection import Rejection
from schemas.touchpoint import IdentifierInput, Touchpoint


class LetsEverybodyIn(Line):
    def verify(self, request: Request, received_ms: int) -> bool:
        return True


class FailsWithoutAHeader(Line):
    def verify(self, request: Request, received_ms: int) -> bool:
        return bool(request.headers[SIGNATURE]) and super().verify(request, received_ms)


class VerifiesWhatItUnderstood(Line):
    """Not the raw bytes: a space at the end goes through."""

    def verify(self, request: Request, received_ms: int) -> bool:
        return super().verify(request._replace(body=request.body.strip()), received_ms)


class TellsItsSecret(Line):
    def __init__(self, options: LineOptions) -> None:
        super().__init__(options)
        self._shown = [secret.get_secret_value() for secret in options.channel_secret]

    def __repr__(self) -> str:
        return f"Line({self._shown})"


class Changed(Line):
    """LINE's connector with its results changed."""

    def parse(self, request: Request, context: Context) -> Iterator[Result]:
        for result in super().parse(request, context):
            yield self.change(result, request)

    def change(self, result: Any, request: Request) -> Result:
        raise NotImplementedError


class MakesIdsUp(Changed):
    def change(self, result: Any, request: Request) -> Result:
        made_up = {"event_id": str(uuid.uuid4())}
        return result.model_copy(update=made_up) if isinstance(result, Touchpoint) else result


class HasOneIdForAll(Changed):
    def change(self, result: Any, request: Request) -> Result:
        same = {"event_id": "1"}
        return result.model_copy(update=same) if isinstance(result, Touchpoint) else result


class RepeatsValues(Changed):
    def change(self, result: Any, request: Request) -> Result:
        if isinstance(result, Rejection):
            return Rejection(result.reason, request.body.decode("utf-8", "replace"), b"x")
        return result


class KnowsNobody(Changed):
    def change(self, result: Any, request: Request) -> Result:
        guest = (IdentifierInput(kind="email", value="guest"),)
        nobody = {"identifiers": guest}
        return result.model_copy(update=nobody) if isinstance(result, Touchpoint) else result


class KnowsSmallLettersOnly(Changed):
    """So that an address in capitals is nobody's."""

    def change(self, result: Any, request: Request) -> Result:
        if isinstance(result, Touchpoint):
            text = json.loads(request.body)["events"][0]["address"]
            own = tuple(IdentifierInput(kind="email", value=text) for _ in "1" if text.islower())
            return result.model_copy(update={"identifiers": (*result.identifiers, *own)})
        return result


class FailsAtBadData(Line):
    def parse(self, request: Request, context: Context) -> Iterator[Result]:
        json.loads(request.body)["events"]
        yield from super().parse(request, context)


class KeepsPartsOnly(Line):
    def around(self, request: Request) -> None:  # type: ignore[override]
        return None


BROKEN = [
    (LetsEverybodyIn, "a_foreign_secret_is_refused"),
    (LetsEverybodyIn, "a_request_without_signature_is_refused"),
    (LetsEverybodyIn, "a_damaged_signature_is_refused_without_an_exception"),
    (FailsWithoutAHeader, "a_request_without_signature_is_refused"),
    (VerifiesWhatItUnderstood, "a_changed_body_is_refused"),
    (TellsItsSecret, "shows_no_secret"),
    (MakesIdsUp, "the_same_request_twice_gives_the_same_events"),
    (MakesIdsUp, "the_order_of_keys_changes_nothing"),
    (MakesIdsUp, "what_is_kept_of_each_event_is_read_again_as_it_was"),
    (MakesIdsUp, "any_change_of_a_payload_gives_results"),
    (HasOneIdForAll, "event_ids_are_distinct_within_the_payloads"),
    (RepeatsValues, "a_wrong_value_anywhere_is_refused_or_kept_never_an_exception"),
    (RepeatsValues, "an_unreadable_body_is_one_rejection_with_its_bytes"),
    (KnowsNobody, "every_payload_becomes_touchpoints_that_are_accepted"),
    (FailsAtBadData, "an_unreadable_body_is_one_rejection_with_its_bytes"),
    (FailsAtBadData, "an_object_of_somebody_else_is_refused"),
    (FailsAtBadData, "any_bytes_give_results"),
    (FailsAtBadData, "any_json_gives_results"),
    (KeepsPartsOnly, "what_is_kept_of_each_event_is_read_again_as_it_was"),
    (KnowsSmallLettersOnly, "the_customer_is_the_same_however_an_identifier_is_written"),
]


def suite_of(connector: type[Line]) -> LineContract:
    class Contract(LineContract):
        def make(self, *secrets: str) -> Line:
            return connector(LineOptions.model_validate({"channel_secret": secrets}))

    events = [
        {**event, "address": "ada@example.com"}
        for event in LineContract.payloads["events"]["events"][:2]
    ]
    Contract.payloads = {"events": {"destination": "U0", "events": events}}
    return Contract()


@pytest.mark.parametrize(("connector", "promise"), BROKEN)
def test_a_broken_promise_is_found(connector: type[Line], promise: str):
    kept = getattr(suite_of(Line), f"test_{promise}")
    broken = getattr(suite_of(connector), f"test_{promise}")
    kept()
    with pytest.raises(Exception):  # noqa: B017, PT011 - whatever it raises, the promise is broken
        broken()


def test_a_signature_that_stays_valid_for_ever_is_found():
    suite = suite_of(Line)
    type(suite).signs_time = True
    with pytest.raises(AssertionError):
        suite.test_an_old_request_is_refused()
