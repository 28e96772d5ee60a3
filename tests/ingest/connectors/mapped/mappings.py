"""Mappings that the tests share."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

from ingest.connector import Request
from ingest.connectors.mapped.connector import Mapped, MappedOptions
from ingest.connectors.mapped.contract import MappedContract
from ingest.testing.values import load, posted

PAYLOADS = MappedContract.payloads | load(Path(__file__).parent / "payloads")
TOKEN = {"scheme": "token", "header": "X-Token", "secret": "s"}

#: The body is the list.
LIST = """
type: {expr: event}
event_id: id
occurred_at: {expr: ts, format: epoch_s}
identifiers:
  - {kind: customer_id, value: user_id}
  - {kind: email, value: email}
url: url
traits: "{plan: plan}"
"""
#: The events are more than a list at a path.
FILTERED = """
events: messages[?type != 'ping']
type: sms_received
channel: phone
event_id: id
identifiers:
  - {kind: phone, value: from}
subject: text
properties: {rest: true, without: [type]}
"""
MINIMAL = {"type": "thing_happened", "identifiers": [{"kind": "email", "value": "email"}]}


@cache
def mapping(text: str) -> dict[str, Any]:
    """YAML as `touchline.yaml` gives it: keys are text."""
    read: dict[str, Any] = _with_text_keys(yaml.safe_load(text))
    return read


def _with_text_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _with_text_keys(inside) for key, inside in value.items()}
    return [_with_text_keys(one) for one in value] if isinstance(value, list) else value


def make(rules: dict[str, Any], signature: dict[str, Any] | None = None) -> Mapped:
    options = {"signature": signature or TOKEN, "mapping": rules}
    return Mapped(MappedOptions.model_validate(options))


def post(body: bytes, **headers: str) -> Request:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return posted(body, named)
