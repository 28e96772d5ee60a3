"""Mails that the company sends to itself: its own domains are no customer's there either."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ingest.connector import Context, WebhookConnector
from ingest.connectors.mailgun.connector import Mailgun, MailgunOptions
from ingest.connectors.mailgun.contract import MailgunContract
from ingest.connectors.postmark.connector import Postmark, PostmarkOptions
from ingest.connectors.postmark.contract import PostmarkContract
from ingest.connectors.sendgrid.connector import SendGrid, SendGridOptions
from ingest.connectors.sendgrid.contract import SendGridContract
from ingest.connectors.ses.connector import Ses, SesOptions
from ingest.connectors.ses.contract import SesContract
from ingest.testing.values import RECEIVED_MS, posted
from schemas.rejection import Rejection
from schemas.touchpoint import Touchpoint

EVENTS = {
    "postmark": PostmarkContract.payloads["delivery"],
    "mailgun": MailgunContract.payloads["delivered"],
    "sendgrid": SendGridContract.payloads["delivery"][:1],
    "ses": SesContract.payloads["bounce"],
}


def connector(name: str, *own: str) -> WebhookConnector:
    match name:
        case "postmark":
            return Postmark(PostmarkOptions(password="p", own_domains=own))
        case "mailgun":
            return Mailgun(MailgunOptions(signing_key="k", own_domains=own))
        case "sendgrid":
            return SendGrid(SendGridOptions(password="p", own_domains=own))
        case _:
            return Ses(SesOptions(token="t", own_domains=own))


def read(name: str, *own: str) -> Any:
    request = posted(json.dumps(EVENTS[name]).encode())
    (result,) = connector(name, *own).parse(request, Context("mail", RECEIVED_MS))
    return result


@pytest.mark.parametrize("name", EVENTS)
def test_a_mail_to_the_company_itself_is_no_customers(name: str):
    touch = read(name, "elsewhere.example")
    assert isinstance(touch, Touchpoint)
    domain = touch.identifiers[-1].value.rpartition("@")[2]
    refused = read(name, domain.upper())
    assert isinstance(refused, Rejection)
    assert refused.reason == "no_identifier"
    assert refused.detail.endswith(": is an address of the company's own domain")
    assert refused.event_id == touch.event_id
    assert isinstance(read(name, f"sub.{domain}"), Touchpoint)
