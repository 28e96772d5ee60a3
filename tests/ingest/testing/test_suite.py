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

OWN, NUMBER = "support@own.example", "+819012345670"


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


class KnowsTheCompany(Changed):
    """Its own address is a customer's."""

    def change(self, result: Any, request: Request) -> Result:
        return _also(result, "email", OWN)


class TakesAnyNumber(Changed):
    """By its last digits."""

    def change(self, result: Any, request: Request) -> Result:
        number = json.loads(request.body)["events"][0]["number"]
        return _also(result, "phone", f"+81{number[-10:]}")


class DropsTheOlderWriting(Changed):
    """Of a number, and of a domain."""

    def change(self, result: Any, request: Request) -> Result:
        number = json.loads(request.body)["events"][0]["number"]
        return _also(result, "phone", number if "521" not in number else "")


class ReadsAllOrNothing(Line):
    def parse(self, request: Request, context: Context) -> Iterator[Result]:
        results = list(super().parse(request, context))
        refused = [one for one in results if isinstance(one, Rejection)]
        yield from refused[:1] or results


class NeedsTheMode(Changed):
    """A field that only helps."""

    def change(self, result: Any, request: Request) -> Result:
        modes = [event.get("mode") for event in json.loads(request.body)["events"]]
        good = all(isinstance(mode, str) for mode in modes)
        return result if good else Rejection("invalid", "mode: must be text", b"x")


class ObjectsOnly(Changed):
    def change(self, result: Any, request: Request) -> Result:
        contexts = [event.get("deliveryContext") for event in json.loads(request.body)["events"]]
        return Rejection("invalid", "context: is none", b"x") if [] in contexts else result


class TakesEmptyTextForNews(Changed):
    """An empty text is no missing one."""

    def change(self, result: Any, request: Request) -> Result:
        modes = [event.get("mode") for event in json.loads(request.body)["events"]]
        return _with(result, type="news") if "" in modes else result


class HasOneType(Changed):
    def change(self, result: Any, request: Request) -> Result:
        return _with(result, type="message_received")


class NamesByType(Changed):
    """Not by what else differs."""

    def change(self, result: Any, request: Request) -> Result:
        return _with(result, event_id=str(uuid.uuid5(uuid.NAMESPACE_OID, result.type)))


class NamesDeliveries(Changed):
    def change(self, result: Any, request: Request) -> Result:
        return _with(result, event_id=str(uuid.uuid5(uuid.NAMESPACE_OID, str(request.body))))


class DropsHalves(Line):
    """What is left of the customer's id is somebody's."""

    def parse(self, request: Request, context: Context) -> Iterator[Result]:
        body = request.body.replace(rb"\ud83d", b"")
        yield from super().parse(request._replace(body=body), context)


class RefusesHalves(Line):
    def parse(self, request: Request, context: Context) -> Iterator[Result]:
        if rb"\ud83d" in request.body:
            yield Rejection("unreadable", "the body: is cut", request.body)
        else:
            yield from super().parse(request, context)


def _with(result: Any, **changed: Any) -> Result:
    return result.model_copy(update=changed) if isinstance(result, Touchpoint) else result


def _also(result: Any, kind: str, value: str) -> Result:
    if not isinstance(result, Touchpoint):
        return result
    known = (*result.identifiers, IdentifierInput(kind=kind, value=value))
    return _with(result, identifiers=known)


BROKEN = [
    (KnowsTheCompany, "own_accounts_never_become_customers"),
    (TakesAnyNumber, "a_number_that_cannot_exist_is_no_identifier"),
    (DropsTheOlderWriting, "the_customer_is_the_same_however_an_identifier_is_written"),
    (ReadsAllOrNothing, "one_bad_event_costs_itself_alone"),
    (NeedsTheMode, "a_wrong_helper_field_costs_no_touch"),
    (ObjectsOnly, "an_empty_list_in_place_of_an_object_is_an_empty_object"),
    (TakesEmptyTextForNews, "an_empty_text_says_no_more_than_a_missing_field"),
    (HasOneType, "what_takes_something_back_is_nothing_new"),
    (NamesByType, "derived_ids_tell_apart_what_differs"),
    (NamesDeliveries, "a_redelivery_keeps_its_id"),
    (RefusesHalves, "half_of_an_emoji_in_an_id_makes_no_two_people_one"),
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
        own = (("email", OWN),)
        optional = ("events.*.mode",)
        undone = (("events[0]", "events[1]"),)

        def make(self, *secrets: str) -> Line:
            return connector(LineOptions.model_validate({"channel_secret": secrets}))

    by_type = {event["type"]: event for event in LineContract.payloads["events"]["events"]}
    events = [
        {**by_type[name], "address": "ada@example.com", "number": NUMBER}
        for name in ("message", "unsend")
    ]
    Contract.payloads = {"events": {"destination": OWN, "events": events}}
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
