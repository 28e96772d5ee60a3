"""Refusals as `RejectedLog` gives them, made from rows of the topic."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from deploy.operations.rejected.log import Refusal
from schemas.times import parse_ms


def refusal_of(row: Mapping[str, Any]) -> Refusal:
    """A row of the topic as `RejectedLog` gives it."""
    fields = dict(row)
    fields["key"] = base64.b64decode(fields.pop("key_base64"))
    fields["received_ms"] = parse_ms(fields.pop("received_at"))
    return Refusal(**fields)


def refusal_of_topic(value: bytes) -> Refusal:
    """A record of the topic as `RejectedLog` gives it."""
    row = json.loads(value)
    row["payload"] = base64.b64decode(row.pop("payload_base64"))
    return refusal_of(row)
