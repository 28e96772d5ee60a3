"""docs/channels/event_types.md says what the connectors do, of all types that providers publish."""

from __future__ import annotations

from pathlib import Path

import pytest
from linebot.v3.webhooks.models.event import Event as LineEvent
from twilio.rest.api.v2010.account.call import CallInstance
from twilio.rest.api.v2010.account.message import MessageInstance

from tests.docs.event_types import page
from tests.docs.event_types.samples import PROVIDERS, published, stripe_types

PAGE = Path(__file__).parents[2] / "docs" / "channels" / "event_types.md"


def test_the_page_says_what_the_connectors_do():
    written = PAGE.read_text(encoding="utf-8")
    assert written == page.text(), "run python -m tests.docs.event_types.page"


@pytest.mark.parametrize("name", PROVIDERS)
def test_every_event_of_a_provider_is_a_touch_or_refused_for_a_reason_of_its_own(name: str):
    for row in page.rows(name):
        assert "invalid" not in row.becomes, row
        assert "unreadable" not in row.becomes, row


def test_stripes_library_knows_the_types_of_the_page():
    assert len(stripe_types()) > 200


def test_lines_library_knows_no_type_that_is_missing():
    known = vars(LineEvent)["_Event__discriminator_value_class_map"]
    assert set(known) <= set(published("line")[1])


def test_twilios_library_knows_no_status_that_is_missing():
    statuses = {
        *(f"message/{status}" for status in _values(MessageInstance.Status)),
        *(f"call/{status}" for status in _values(CallInstance.Status)),
    }
    # Not of an event: a message that the library itself has not sent yet.
    assert statuses - {"message/partially_delivered"} <= set(published("twilio")[1])


def _values(constants: type) -> list[str]:
    return [value for name, value in vars(constants).items() if name.isupper()]
