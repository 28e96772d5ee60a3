"""Calendly: the promises of every connector, and its own events."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ingest.connector import Context
from ingest.testing.values import RECEIVED_MS, posted

from touchline_calendly.connector import (
    SIGNATURE,
    CalendlyOptions,
    CalendlyWebhook,
)
from touchline_calendly.contract import (
    CalendlyContract,
)

PAYLOADS = CalendlyContract.payloads


class TestCalendly(CalendlyContract):
    """All promises of the suite."""


def connector() -> CalendlyWebhook:
    return CalendlyWebhook(CalendlyOptions.model_validate({"signing_key": "s"}))


def one(body: Any) -> Any:
    """What a body gives."""
    request, context = posted(json.dumps(body).encode()), Context("source", RECEIVED_MS)
    (result,) = connector().parse(request, context)
    return result


@pytest.mark.parametrize(
    ("name", "kind", "direction", "outcome"),
    [
        ("invitee_created", "meeting_booked", "inbound", None),
        ("invitee_canceled_rescheduled", "meeting_canceled", "inbound", "rescheduled"),
        ("invitee_canceled_by_host", "meeting_canceled", "outbound", "host"),
        ("invitee_no_show_created", "meeting_missed", "inbound", None),
        ("invitee_no_show_deleted", "calendly_invitee_no_show_deleted", "inbound", None),
    ],
)
def test_events_have_their_types(name: str, kind: str, direction: str, outcome: str | None) -> None:
    touch = one(PAYLOADS[name])
    assert (touch.channel, touch.type) == ("event", kind)
    assert (touch.direction, touch.outcome) == (direction, outcome)


def test_fields_of_a_booking() -> None:
    touch = one(PAYLOADS["invitee_created"])
    assert touch.event_id.startswith("invitee.created:https://api.calendly.com/scheduled_events/")
    assert {(i.kind, i.value) for i in touch.identifiers} == {
        ("email", "hanako@example.com"),
        ("phone", "+81 90-1234-5678"),
    }
    assert touch.traits == {"name": "山田花子", "timezone": "Asia/Tokyo"}
    assert (touch.campaign.name, touch.campaign.source) == ("autumn", "newsletter")
    assert touch.subject == "Ring consultation"
    assert touch.properties["scheduled_event"]["start_time"] == "2026-11-25T01:00:00.000000Z"


def test_nobody_can_cancel_a_meeting_with_what_is_kept() -> None:
    kept = json.dumps([one(value).properties for value in PAYLOADS.values()])
    assert "cancellations/" not in kept
    assert "reschedulings/" not in kept


def test_a_header_without_time_or_signature_is_refused() -> None:
    for header in ("", "t=1795161600", "v1=00", "t=,v1=00", "t=now,v1=00", "x"):
        assert not connector().verify(posted(b"{}", {SIGNATURE: header}), RECEIVED_MS)


def test_a_form_that_names_nobody_is_refused() -> None:
    body = {"event": "routing_form_submission.created", "payload": {"uri": "https://x"}}
    assert one(body).reason == "no_identifier"
