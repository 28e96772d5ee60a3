"""Amazon Connect's contact records: calls, chats, tasks and e-mails of a contact center.

Source: https://docs.aws.amazon.com/connect/latest/adminguide/ctr-data-model.html (records),
…/adminguide/contact-lens-example-output-files.html (sentiment, from -5 to 5). They come through
Amazon Data Firehose (`ingest/kit/firehose.py`), or as they are. See
docs/channels/amazon_connect.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Annotated, Any, ClassVar

from pydantic import Field, StringConstraints

from ingest.connector import Context, Options, Reply, Request, Result, WebhookConnector, secrets
from ingest.connectors.amazon_connect.contact import (
    THIRD_PARTY,
    Contact,
    duration,
    segment,
    told,
)
from ingest.kit import firehose
from ingest.kit.fields import (
    Fields,
    Payload,
    campaign,
    each,
    finish,
    identifiers,
)
from ingest.kit.mail_message import address
from ingest.kit.signing import RequiredSecrets, is_one_of
from schemas.email_addresses import email_address
from schemas.phone_numbers import phone_number
from schemas.rejection import Rejection

#: Channel of a contact -> our channel; all others are kinds of calls.
CHANNELS = {"VOICE": "phone", "CHAT": "chat", "TASK": "chat", "EMAIL": "email"}
#: The customer's endpoint, then those that may be mistaken for it.
_ENDPOINTS = ("CustomerEndpoint", "SystemEndpoint", "TransferredToEndpoint")
#: Contact Lens's sentiment goes from minus this to plus this.
_MOST_SENTIMENT = 5
_MAPPED = frozenset({"CustomerEndpoint", "CustomerId"})
_NAMES = {"event_id": "ContactId", "occurred_at": "InitiationTimestamp"}
_NOBODY = "CustomerEndpoint: is no phone number or address, and nothing else names the customer"


class AmazonConnectOptions(Options):
    """`access_key`: the access key of the Firehose stream's HTTP endpoint.

    `identifier_attributes`: contact attributes that name the customer, with the kind of identifier
    that each holds, for instance {"crmId": "customer_id"}.

    `own_numbers`: the company's numbers and e-mail addresses, those of its agents and partners too:
    none of them is a customer.
    """

    access_key: RequiredSecrets
    identifier_attributes: dict[
        str, Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
    ] = Field(default_factory=dict)
    own_numbers: tuple[str, ...] = ()


class AmazonConnect(WebhookConnector):
    """Contact records of an Amazon Connect instance."""

    name: ClassVar[str] = "amazon_connect"
    doc: ClassVar[str] = "Phone: contact records of Amazon Connect, through Amazon Data Firehose"
    options: ClassVar[type[Options]] = AmazonConnectOptions
    reads: ClassVar[tuple[str, ...]] = ("content-type", firehose.ATTRIBUTES)

    def __init__(self, options: AmazonConnectOptions) -> None:
        self._keys = secrets(options.access_key)
        self._kinds = options.identifier_attributes
        self._own = frozenset(map(_plain, options.own_numbers))

    def verify(self, request: Request, received_ms: int) -> bool:
        """Return True if the request shows a key of ours: Firehose signs nothing."""
        shown = request.headers.get(firehose.ACCESS_KEY, "")
        return is_one_of(shown.encode("utf-8", "replace"), self._keys)

    def parse(self, request: Request, context: Context) -> Iterator[Result]:
        """Yield a touch for each record."""
        records = list(firehose.records(request.body))
        if len(records) > context.max_events:
            detail = f"the batch: holds {len(records)} records, at most {context.max_events}"
            yield Rejection("too_many", f"{detail} are taken", request.body)
            return
        convert = partial(self._touch, firehose.attributes(request))
        for record in records:
            if isinstance(record, Rejection):
                yield record
            else:
                yield from each([record], request.body, context, convert)

    def around(self, request: Request) -> tuple[bytes, bytes]:
        """Return empty bytes: a record is a body too."""
        return b"", b""

    def reply(self, request: Request) -> Reply:
        """Return the answer that Firehose expects."""
        return firehose.reply(request)

    def _touch(
        self, attributes: dict[str, Any], record: dict[str, Any], payload: Payload
    ) -> Result:
        if record.get("ContactId") is None:
            detail = "ContactId: is missing; contact records are taken"
            return Rejection("unsupported", detail, payload())
        read = Fields(record)
        contact = Contact.of(read)
        kind, outcome = told(contact, read)
        campaign_id = read.inside("Campaign").label("CampaignId")
        fields = {
            "event_id": read.text("ContactId"),
            "channel": CHANNELS.get(contact.channel, "phone"),
            "type": kind,
            "direction": "outbound" if contact.is_outbound else "inbound",
            "identifiers": identifiers(*self._customer(contact, read)),
            "occurred_at": read.text("InitiationTimestamp"),
            "campaign": campaign(campaign_id),
            "duration_s": duration(outcome, contact, read),
            "outcome": outcome,
            "sentiment": _sentiment(read),
            "subject": segment(read, "connect:EmailSubject"),
            "properties": {
                **{name: value for name, value in record.items() if name not in _MAPPED},
                **({"common_attributes": attributes} if attributes else {}),
            },
        }
        return finish(fields, read.problems, payload, _NAMES, _NOBODY)

    def _customer(self, contact: Contact, read: Fields) -> list[tuple[str, str | None]]:
        """Return the customer: the endpoint that is not the company's, whoever called."""
        if contact.method == THIRD_PARTY:
            return []
        where, type_ = self._endpoint(read)
        given = read.inside("Attributes")
        return [
            ("customer_id", read.id("CustomerId")),
            *((kind, given.id(name)) for name, kind in self._kinds.items() if name in given),
            ("phone", where if type_ == "TELEPHONE_NUMBER" else None),
            ("email", address(where) if type_ == "EMAIL_ADDRESS" else None),
        ]

    def _endpoint(self, read: Fields) -> tuple[str | None, str | None]:
        """Return address and type of the customer's endpoint; of an own one nothing.

        A contact that was passed on may have the company's, or whom it was passed on to, there.
        """
        customer, *others = (Fields(read.object(name)).peek("Address") for name in _ENDPOINTS)
        ours = self._own.union(_plain(one) for one in others if one)
        if customer is not None and _plain(customer) in ours:
            return None, None
        endpoint = read.inside("CustomerEndpoint")
        return endpoint.text("Address"), endpoint.text("Type")


def _plain(where: str) -> str:
    """Return a number or an address in normal form; anything else as it is."""
    return phone_number(where, None) or email_address(address(where) or "") or where


def _sentiment(read: Fields) -> float | None:
    """Return the customer's sentiment as Contact Lens states it, if the record has it."""
    lens = read.inside("ContactLens")
    for place in (read, lens, lens.inside("ConversationalAnalytics")):
        overall = place.inside("ConversationCharacteristics").inside("Sentiment")
        found = overall.object("OverallSentiment").get("CUSTOMER")
        if isinstance(found, int | float) and not isinstance(found, bool):
            return max(-1.0, min(1.0, found / _MOST_SENTIMENT))
    return None
