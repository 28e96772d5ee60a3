"""Google Analytics 4: events that are sent by its Measurement Protocol.

Source: https://developers.google.com/analytics/devguides/collection/protocol/ga4/reference
(request, payload, events). The API secret is in the query. See docs/channels/ga4.md.

The protocol has no event ids, so they are derived from what is sent; see `_event_id`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, ClassVar

from ingest.connector import (
    Context,
    Options,
    Reply,
    Request,
    Result,
    json_bytes,
    secrets,
)
from ingest.kit.fields import (
    Fields,
    Payload,
    derived_id,
    each,
    finish,
    identifiers,
    label,
    snake_case,
)
from ingest.kit.keyed import KeyedWebhook, Route, Unauthorized
from ingest.kit.signing import RequiredSecrets, query_value
from ingest.kit.web import (
    COMMERCE,
    campaign_of,
    channel_of,
    is_currency,
    own_type,
    value_of,
)
from schemas.rejection import Rejection
from schemas.times import MINUTE_MS

PATH = "/mp/collect"
#: Recommended events, and those that tags collect by themselves, -> type.
TYPES = {
    "purchase": "order_completed",
    "refund": "order_refunded",
    "add_to_cart": "product_added",
    "remove_from_cart": "product_removed",
    "add_to_wishlist": "product_added_to_wishlist",
    "view_cart": "cart_viewed",
    "begin_checkout": "checkout_started",
    "add_shipping_info": "checkout_updated",
    "add_payment_info": "payment_info_entered",
    "view_item": "product_viewed",
    "view_item_list": "product_list_viewed",
    "select_item": "product_clicked",
    "view_promotion": "promotion_viewed",
    "select_promotion": "promotion_clicked",
    "sign_up": "account_created",
    "login": "logged_in",
    "generate_lead": "lead_generated",
    "qualify_lead": "lead_qualified",
    "disqualify_lead": "lead_disqualified",
    "working_lead": "lead_contacted",
    "close_convert_lead": "lead_converted",
    "close_unconvert_lead": "lead_lost",
    "search": "search_performed",
    "view_search_results": "search_results_viewed",
    "share": "content_shared",
    "select_content": "content_selected",
    "join_group": "group_joined",
    "tutorial_begin": "tutorial_started",
    "tutorial_complete": "tutorial_completed",
    "level_start": "level_started",
    "level_end": "level_ended",
    "level_up": "level_reached",
    "post_score": "score_posted",
    "unlock_achievement": "achievement_unlocked",
    "earn_virtual_currency": "virtual_currency_earned",
    "spend_virtual_currency": "virtual_currency_spent",
    "page_view": "page_viewed",
    "screen_view": "screen_viewed",
    "scroll": "page_scrolled",
    "click": "link_clicked",
    "file_download": "document_downloaded",
    "form_start": "form_started",
    "form_submit": "form_submitted",
    "video_start": "video_started",
    "video_progress": "video_watched",
    "video_complete": "video_completed",
    "ad_impression": "ad_viewed",
}
#: Parameters with the subject of an event; the first that is present counts.
_SUBJECTS = ("page_title", "screen_name", "search_term", "file_name", "form_id", "video_title")
_CAMPAIGN = {
    "campaign": "name",
    "source": "source",
    "medium": "medium",
    "term": "term",
    "content": "content",
}
_DECISIONS = {"GRANTED": True, "DENIED": False}
#: Fields of a request that apply to all of its events.
_SHARED = (
    "client_id", "app_instance_id", "user_id", "timestamp_micros", "user_properties", "consent",
    "non_personalized_ads", "user_location", "ip_override", "device", "user_agent",
)  # fmt: skip
#: Those of them that are kept as properties.
_KEPT = ("user_location", "ip_override", "device", "user_agent")
_NAMES = {
    "type": "name",
    "value.amount": "params.value",
    "value.currency": "params.currency",
    "subject": "params.page_title",
    "url": "params.page_location",
}
_NOBODY = "client_id: is missing; a request needs client_id, app_instance_id or user_id"


class Ga4Options(Options):
    """`api_secret`: the secret that senders put into the query; any text you choose."""

    api_secret: RequiredSecrets


class Ga4(KeyedWebhook):
    """Senders of Google Analytics' Measurement Protocol."""

    name: ClassVar[str] = "ga4"
    doc: ClassVar[str] = "Servers, apps and tag servers: Google Analytics 4's Measurement Protocol"
    options: ClassVar[type[Options]] = Ga4Options
    reads: ClassVar[tuple[str, ...]] = ()

    routes: ClassVar[tuple[Route, ...]] = (Route(PATH),)
    unauthorized: ClassVar[Unauthorized] = Unauthorized("api_secret: is missing or unknown")

    def __init__(self, options: Ga4Options) -> None:
        super().__init__(secrets(options.api_secret))

    @classmethod
    def head_key(cls, request: Request) -> bytes | None:
        """Return the API secret in the query."""
        shown = query_value(request.query, "api_secret")
        return None if shown is None else shown.encode("utf-8", "replace")

    def parse(self, request: Request, context: Context) -> Iterator[Result]:
        """Yield the events of the request, each with what the request states for all."""
        body = request.json
        if isinstance(body, Rejection):
            yield body
        elif isinstance(body, dict) and isinstance(body.get("events"), list):
            read = partial(_event, _shared(body), context.received_ms)
            yield from each(body["events"], request.body, context, read)
        else:
            yield Rejection("invalid", "events: must be a list of events", request.body)

    def around(self, request: Request) -> tuple[bytes, bytes]:
        """Return a request around an event, with what its events share."""
        body = request.json
        shared = json_bytes(_shared(body) if isinstance(body, dict) else {})
        return shared[:-1] + (b"," if len(shared) > 2 else b"") + b'"events":[', b"]}"

    def reply(self, request: Request) -> Reply:
        """Return Google's answer."""
        return Reply(204)


def _shared(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: body[name] for name in _SHARED if name in body}


def _event(
    shared: Mapping[str, Any], received_ms: int, event: dict[str, Any], payload: Payload
) -> Result:
    read = Fields(event)
    about = Fields(shared, "", read.problems)
    params = read.inside("params")
    spare = read.aside("params")  # parameters that only describe: a wrong one costs nothing
    given = read.object("params")
    name = read.text("name") or ""
    if not snake_case(name):
        read.wrong("name", "must be text with at least one letter or digit")
    kind = TYPES.get(name) or own_type("ga4", name)
    stated = read.moment_of_digits("timestamp_micros", 0.001) or about.moment_of_digits(
        "timestamp_micros", 0.001
    )
    is_money = kind in COMMERCE or is_currency(given.get("currency"))
    fields = {
        "event_id": _event_id(kind, params, shared, event, None if stated else received_ms),
        "channel": channel_of(kind),
        "type": kind,
        "direction": "outbound" if kind == "order_refunded" else "inbound",
        "identifiers": identifiers(
            ("customer_id", about.id("user_id")),
            ("device_id", about.id("app_instance_id")),
            ("anonymous_id", about.id("client_id")),
        ),
        "occurred_at": stated,
        "traits": _traits(about.aside("user_properties")),
        "consent": _consent(about),
        "campaign": _campaign(params),
        "value": value_of(given, kind in COMMERCE, read.problems, "params.") if is_money else None,
        "subject": next((text for name in _SUBJECTS if (text := spare.label(name))), None),
        "url": params.peek("page_location"),
        "properties": {
            **{name: shared[name] for name in _KEPT if name in shared},
            **{name: value for name, value in given.items() if name != "page_location"},
        },
    }
    return finish(fields, read.problems, payload, _NAMES, _NOBODY)


def _event_id(
    kind: str,
    params: Fields,
    shared: Mapping[str, Any],
    event: dict[str, Any],
    received_ms: int | None,
) -> str:
    """Return the sender's own id, for a purchase the transaction's, else one of the content.

    If no time is stated (`received_ms` is then given) the same content may come on many days, each
    login of a customer for instance: it is the same event only within a minute of receipt.
    """
    own = params.id("event_id")
    if own:
        return own
    transaction = params.id("transaction_id")
    if kind == "order_completed" and transaction:
        return f"order:{transaction}"
    who = {name: shared.get(name) for name in ("client_id", "app_instance_id", "user_id")}
    minute = None if received_ms is None else received_ms // MINUTE_MS
    return derived_id({**who, "at": shared.get("timestamp_micros"), "m": minute, "event": event})


def _traits(properties: Fields) -> dict[str, Any]:
    """Return the user properties, each of which is an object with `value`; others say nothing."""
    return {
        label(name): one["value"]
        for name, one in properties.values()
        if isinstance(one, dict) and "value" in one
    }


def _consent(about: Fields) -> dict[str, bool]:
    """Return the consent to ads. The older `non_personalized_ads` refuses personal ones."""
    given = about.inside("consent")
    found: dict[str, bool] = {}
    if about.flag("non_personalized_ads"):
        found["ad_personalization"] = False
    for purpose in ("ad_user_data", "ad_personalization"):
        word = given.text(purpose)
        if word in _DECISIONS:
            found[purpose] = _DECISIONS[word]
        elif word is not None:
            given.wrong(purpose, "must be GRANTED or DENIED")
    return found


def _campaign(params: Fields) -> dict[str, str] | None:
    """Return the campaign parameters of the event, else those of the page's address."""
    found = {ours: text for name, ours in _CAMPAIGN.items() if (text := params.peek(name))}
    if "name" not in found and "medium" not in found:
        return campaign_of(params.peek("page_location"))
    return {ours: label(text) for ours, text in found.items()}
