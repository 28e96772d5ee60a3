"""The customer's facts in Snowplow's self-describing events and entities.

Source: https://docs.snowplow.io/docs/events/ootb-data/ and the schemas of Iglu Central
(https://github.com/snowplow/iglu-central). An event is in `ue_pr` as JSON or in `ue_px` in
base64url; entities ("contexts") are in `co` or `cx`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ingest.kit.fields import MARKETING, Fields, decode, label, snake_case
from ingest.kit.web import base64_of, channel_of, own_type, value_of
from ingest.loose_json import damage

#: Prefix of the vendor of Snowplow's own schemas; any other is the company's own.
VENDOR = "com.snowplowanalytics."
#: Name of one of Snowplow's schemas -> type.
EVENTS = {
    "link_click": "link_clicked",
    "button_click": "button_clicked",
    "submit_form": "form_submitted",
    "change_form": "form_changed",
    "focus_form": "form_focused",
    "screen_view": "screen_viewed",
    "screen_end": "screen_left",
    "site_search": "search_performed",
    "social_interaction": "social_interaction_made",
    "add_to_cart": "product_added",
    "remove_from_cart": "product_removed",
    "consent_preferences": "consent_updated",
    "consent_granted": "consent_granted",
    "consent_withdrawn": "consent_withdrawn",
    "identify": "identified",
    "application_install": "app_installed",
    "application_foreground": "app_opened",
    "application_background": "app_left",
    "deep_link_received": "deep_link_opened",
    "message_notification": "push_received",
}
#: `type` of a `snowplow_ecommerce_action` -> type.
ACTIONS = {
    "product_view": "product_viewed",
    "list_view": "product_list_viewed",
    "list_click": "product_clicked",
    "promo_view": "promotion_viewed",
    "promo_click": "promotion_clicked",
    "add_to_cart": "product_added",
    "remove_from_cart": "product_removed",
    "checkout_step": "checkout_step_completed",
    "transaction": "order_completed",
    "refund": "order_refunded",
    "trns_error": "payment_failed",
}
#: Action -> the entity and its field with the amount.
_AMOUNTS = {"transaction": ("transaction", "revenue"), "refund": ("refund", "refund_amount")}
_DEVICE_IDS = ("appleIdfv", "appleIdfa", "androidIdfa", "openIdfa", "appSetId")
#: `eventType` of consent_preferences -> its decision about the scopes; others decide nothing.
_DECISIONS = {
    "allow_all": True, "allow_selected": True, "implicit_consent": True,
    "deny_all": False, "withdrawn": False, "expired": False,
}  # fmt: skip
_SCHEMA = re.compile(r"iglu:([^/\s]+)/([^/\s]+)/[^/\s]+/[^/\s]+")


class Thing(NamedTuple):
    """A self-describing event or entity: who defined it, its name and its data."""

    vendor: str
    name: str
    data: Fields
    raw: dict[str, Any]

    @property
    def is_theirs(self) -> bool:
        """Return True if Snowplow defined it."""
        return f"{self.vendor}.".startswith(VENDOR)


@dataclass(slots=True)
class Told:
    """The facts that an event and its entities state together."""

    kind: str = ""
    identifiers: list[tuple[str, str | None]] = field(default_factory=list)
    traits: dict[str, str] = field(default_factory=dict)
    consent: dict[str, bool] = field(default_factory=dict)
    value: dict[str, Any] | None = None
    outcome: str | None = None
    subject: str | None = None
    url: str | None = None
    properties: dict[str, Any] = field(default_factory=dict)


def told_by(read: Fields) -> Told:
    """Return the facts that an event and its entities state; problems are recorded in `read`."""
    told = Told()
    entities = list(_entities(read))
    for entity in entities:
        if entity.is_theirs:
            _add_entity(told, entity)
    if read.peek("e") == "ue":
        event = _event(read)
        if event is not None:
            _add_event(told, event, entities, read.problems)
    contexts: dict[str, list[Any]] = {}
    for entity in entities:
        # The user entity has become identifiers.
        if not (entity.is_theirs and entity.name == "user"):
            contexts.setdefault(entity.name, []).append(entity.raw)
    if contexts:
        told.properties["contexts"] = contexts
    return told


def _embedded(read: Fields, plain: str, encoded: str) -> Fields | None:
    """Return the JSON object in a parameter, which is text or base64url of it."""
    for name in (encoded, plain):
        text = read.text(name)
        if text is None:
            continue
        found = decode(text.encode("utf-8", "replace") if name == plain else base64_of(text))
        unusable = damage(found, name)
        if unusable is not None:
            read.problems.append(f"{name}.{unusable}")
            continue
        if isinstance(found, dict) or found == []:
            return Fields(dict(found), f"{name}.", read.problems)
        form = "JSON" if name == plain else "JSON in base64"
        read.wrong(name, f"must be a self-describing object of {form}")
    return None


def _event(read: Fields) -> Thing | None:
    outer = _embedded(read, "ue_pr", "ue_px")
    if outer is None:
        if not read.problems:
            read.wrong("ue_px", "is missing; an event of type ue has it, or ue_pr")
        return None
    return _thing(outer.inside("data"))


def _entities(read: Fields) -> Iterator[Thing]:
    outer = _embedded(read, "co", "cx")
    for i, entity in enumerate(outer.items("data") if outer is not None else ()):
        if not isinstance(entity, dict):
            read.wrong("contexts", "must be self-describing objects")
            return
        thing = _thing(Fields(entity, f"contexts.data.{i}.", read.problems))
        if thing is not None:
            yield thing


def _thing(read: Fields) -> Thing | None:
    schema = _SCHEMA.fullmatch(read.text("schema") or "")
    if schema is None:
        read.wrong("schema", "must be the address of a schema: iglu:vendor/name/format/version")
        return None
    return Thing(schema[1], schema[2], read.inside("data"), read.object("data"))


def _add_entity(told: Told, entity: Thing) -> None:
    data = entity.data
    match entity.name:
        case "mobile_context":
            told.identifiers += [("device_id", data.peek(name)) for name in _DEVICE_IDS]
        case "client_session":
            told.identifiers.append(("anonymous_id", data.id("userId")))
        case "user":
            if data.flag("is_guest") is not True:
                told.identifiers.append(("customer_id", data.id("id")))
            told.identifiers.append(("email", data.peek("email")))
        case "checkout_step":
            opted_in = data.flag("marketing_opt_in")
            if opted_in is not None:
                told.consent[MARKETING] = opted_in


def _add_event(told: Told, event: Thing, entities: list[Thing], problems: list[str]) -> None:
    data = event.data
    told.properties.update(event.raw, event_vendor=event.vendor, event_name=event.name)
    if not snake_case(event.name):
        data.wrong("schema", "must name the event")
    if not event.is_theirs:
        told.kind = own_type("snowplow", event.name)
        if channel_of(told.kind) == "commerce":
            told.value = value_of(event.raw, True, problems, "ue_px.data.data.")
        return
    told.kind = EVENTS.get(event.name) or own_type("snowplow", event.name)
    match event.name:
        case "snowplow_ecommerce_action":
            _add_action(told, data, entities)
        case "screen_view":
            told.subject = data.label("name")
        case "submit_form":
            told.subject = data.label("formId")
        case "site_search":
            terms = [term for term in data.items("terms") if isinstance(term, str)]
            told.subject = " ".join(terms) or None
        case "deep_link_received":
            told.url = data.text("url")
        case "message_notification":
            told.subject = data.inside("notification").label("title")
        case "identify":
            email = data.text("email")
            told.identifiers += [("customer_id", data.id("id")), ("email", email)]
            told.traits.update({"email": email} if email else {})
        case "consent_preferences":
            _add_preferences(told, data)
        case "consent_granted" | "consent_withdrawn":
            _add_documents(told, event, entities)


def _add_action(told: Told, data: Fields, entities: list[Thing]) -> None:
    """Add Snowplow's e-commerce: the action is in the event, all else in its entities."""
    action = data.text("type") or ""
    told.kind = ACTIONS.get(action) or own_type("snowplow", f"ecommerce {action}")
    told.subject = data.label("name")
    by_name = {entity.name: entity for entity in reversed(entities) if entity.is_theirs}
    error = by_name.get("transaction_error")
    if error is not None:
        told.outcome = error.data.label("error_shortcode") or error.data.label("error_code")
    entity_name, amount = _AMOUNTS.get(action, ("", ""))
    entity = by_name.get(entity_name)
    if entity is not None and amount in entity.data:
        told.value = {"amount": entity.raw[amount], "currency": entity.data.text("currency")}


def _add_preferences(told: Told, data: Fields) -> None:
    """Add the decision for each scope; a denial of all is about marketing, whatever is listed."""
    kind = data.text("eventType") or ""
    decision = _DECISIONS.get(kind)
    told.outcome = kind or None
    if decision is None:
        return
    scopes = [scope for scope in data.items("consentScopes") if isinstance(scope, str) and scope]
    if kind == "deny_all":
        told.consent[MARKETING] = False
    told.consent.update({label(scope): decision for scope in scopes})


def _add_documents(told: Told, event: Thing, entities: list[Thing]) -> None:
    """Add the older events: the documents agreed to are entities; a withdrawal may be of all."""
    decision = event.name == "consent_granted"
    for entity in entities:
        if entity.is_theirs and entity.name == "consent_document":
            purpose = entity.data.label("name") or entity.data.label("id")
            if purpose:
                told.consent[purpose] = decision
    if event.data.flag("all"):
        told.consent[MARKETING] = False
