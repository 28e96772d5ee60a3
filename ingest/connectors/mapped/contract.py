"""The side of any sender: a mapping, and an HMAC of time and body.

After docs/channels/mapped.md
"""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path
from typing import Any

import yaml

from ingest.connector import Request
from ingest.connectors.mapped.connector import Mapped, MappedOptions
from ingest.testing.suite import ConnectorSuite
from ingest.testing.values import RECEIVED_MS, load, posted, with_field

SIGNATURE = "x-acme-signature"
SHOP = "x-shop"
NOW = RECEIVED_MS // 1000
#: Events in a list of the body, with something above it and in a header that all of them need.
MAPPING: dict[str, Any] = yaml.safe_load("""
events: data.items
prefix: acme
channel: phone
type:
  expr: kind
  table: {call: call_completed, purchase: order_completed}
event_id: join(':', [to_string(body('account.id')), header('X-Shop'), to_string(no)])
occurred_at: {expr: at, format: "%d.%m.%Y %H:%M", timezone: Asia/Tokyo}
identifiers:
  - {kind: phone, value: from}
  - {kind: email, value: mail}
rules:
  - when: kind == 'call'
    duration_s: {expr: ms, scale: 0.001}
    outcome: {expr: state, table: {"1": busy, "2": answered}}
    sentiment: {expr: rating, table: {"1": -1, "4": 0.5}}
    direction: {expr: dir, table: {in: inbound, out: outbound}}
    traits: {account: body('account.name')}
    properties: {rest: true, without: [agent.name]}
  - when: kind == 'Newsletter Signup'
    type: newsletter_joined
    channel: email
    consent: {marketing: {expr: optin, table: {"yes": true, "no": false}}}
    traits: custom
  - when: kind == 'purchase'
    channel: commerce
    value: {amount: {expr: cents, scale: 0.01}, currency: cur}
""")


def signed(body: bytes, secret: str = "s", time: int = NOW) -> Request:
    """Return the request of a sender that signs as Stripe and others do."""
    digest = hmac.new(secret.encode(), f"{time}.".encode() + body, hashlib.sha256).hexdigest()
    return posted(body, {SIGNATURE: f"t={time},v1={digest}", SHOP: "tokyo"})


class MappedContract(ConnectorSuite):
    """A list of calls, orders and newsletters in a body."""

    name = "mapped"
    payloads = load(Path(__file__).parent / "payloads")
    signs_time = True

    def make(self, *secrets: str) -> Mapped:
        signature = {
            "scheme": "hmac",
            "header": SIGNATURE,
            "field": "v1",
            "timestamp": {"field": "t"},
            "secret": secrets,
        }
        options = {"signature": signature, "mapping": MAPPING}
        return Mapped(MappedOptions.model_validate(options))

    def signed(self, body: bytes, secret: str, name: str = "") -> Request:
        return signed(body, secret)

    def with_extra(self, value: Any) -> Any:
        return {**value, "data": {**value["data"], "items": with_field(value["data"]["items"])}}
