"""Rows as they stand on the topics, written out."""

from __future__ import annotations

import json
import uuid
from typing import Any

LEAD = "0b7f2a1e-0000-5000-8000-000000000001"
OTHER = "0b7f2a1e-0000-5000-8000-000000000002"
NOBODY = str(uuid.UUID(int=0))


def line(row: dict[str, Any]) -> bytes:
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode()


def touchpoint(**changes: Any) -> bytes:
    row = {
        "event_id": "e1",
        "channel": "commerce",
        "type": "order_completed",
        "source": "shop",
        "direction": "inbound",
        "occurred_at": "2026-11-20T23:59:59.999Z",
        "received_at": "2026-11-22T08:05:46.123Z",
        "lead_kind": "email",
        "lead_value": "hanako@example.jp",
        "lead_id": LEAD,
        "identifiers": {"email": ["hanako@example.jp"], "device_id": ["d1", "d2"]},
        "traits": {"name": "山田 花子", "plan": None},
        "consent": {"marketing": True},
        "campaign_name": "spring",
        "campaign_source": "news",
        "campaign_medium": "email",
        "campaign_term": "",
        "campaign_content": "",
        "value_amount": "29.33",
        "value_currency": "USD",
        "duration_s": None,
        "outcome": "",
        "sentiment": None,
        "subject": "😀",
        "url": "https://shop.example/?a=1",
        "properties": '{"nul":"\\u0000"}',
        "schema_version": 1,
    }
    return line(row | changes)


def profile(**changes: Any) -> bytes:
    row = {
        "epoch": 1,
        "profile_id": LEAD,
        "customer_id": "C1",
        "email": "hanako@example.jp",
        "phone": "",
        "display_name": "山田 花子",
        "traits": {"plan": "gold"},
        "first_seen_at": "2026-11-01T00:00:00.000Z",
        "last_seen_at": "2026-11-20T00:00:00.000Z",
        "touchpoints": 3,
        "channels": {"web": 2, "commerce": 1},
        "orders": 1,
        "revenue": {"USD": "29.33", "JPY": "99999999999999999999.000001"},
        "engagement_points": 20.0,
        "segments": ["vip"],
        "consent": {"marketing": False},
        "updated_at": "2026-11-20T00:00:01.000Z",
        "received_at": "2026-11-20T00:00:00.500Z",
        "version": 7,
    }
    return line(row | changes)


def identity(**changes: Any) -> bytes:
    row = {
        "epoch": 1,
        "identifier_id": LEAD,
        "kind": "email",
        "value": "hanako@example.jp",
        "profile_id": LEAD,
        "linked_at": "2026-11-01T00:00:00.000Z",
        "version": 1,
    }
    return line(row | changes)


def segment_change(**changes: Any) -> bytes:
    row = {
        "epoch": 1,
        "segment": "vip",
        "profile_id": LEAD,
        "change": "entered",
        "changed_at": "2026-11-10T00:00:00.000Z",
        "cause": "event",
        "version": 1,
    }
    return line(row | changes)


def engagement(**changes: Any) -> bytes:
    row = {
        "epoch": 1,
        "window_start": "2026-11-20T13:00:00Z",
        "channel": "commerce",
        "type": "order_completed",
        "source": "shop",
        "campaign_name": "",
        "value_currency": "USD",
        "home": 0,
        "touchpoints": 2,
        "value_amount": "0.1",
        "duration_s": 1.5,
        "version": 1,
    }
    return line(row | changes)


def conflict(**changes: Any) -> bytes:
    row = {
        "epoch": 1,
        "identifier_id": OTHER,
        "kind": "phone",
        "value": "+81312345678",
        "lead_id": LEAD,
        "lead_kind": "email",
        "lead_value": "hanako@example.jp",
        "profile_id": OTHER,
        "other_profile_id": LEAD,
        "reason": "limit",
        "occurred_at": "2026-11-20T00:00:00.000Z",
        "version": 1,
    }
    return line(row | changes)


def link(**changes: Any) -> bytes:
    row = {
        "epoch": 1,
        "position": 0,
        "lead_id": LEAD,
        "lead_kind": "email",
        "lead_value": "hanako@example.jp",
        "identifier_id": OTHER,
        "kind": "phone",
        "value": "+81312345678",
        "verdict": "holds",
        "reason": "",
        "split_id": "",
        "source": "shop",
        "event_id": "e1",
        "occurred_at": "2026-11-20T00:00:00.000Z",
        "received_at": "2026-11-20T00:00:00.500Z",
        "decided_at": "2026-11-20T00:00:01.000Z",
    }
    return line(row | changes)


def split(**changes: Any) -> bytes:
    row = {
        "epoch": 1,
        "position": 1,
        "split_id": "s1",
        "action": "split",
        "identifier_id": OTHER,
        "kind": "phone",
        "value": "+81312345678",
        "lead_id": NOBODY,
        "lead_kind": "",
        "lead_value": "",
        "source": "",
        "against_kinds": ["email"],
        "against_values": ["hanako@example.jp"],
        "voided": 1,
        "moved": 1,
        "note": "two sisters",
        "commanded_at": "2026-11-21T00:00:00.000Z",
        "decided_at": "2026-11-21T00:00:00.500Z",
    }
    return line(row | changes)


def violation(**changes: Any) -> bytes:
    row = {
        "violation_id": str(uuid.UUID(int=1)),
        "source": "shop",
        "type": "order_completed",
        "event_id": "e1",
        "place": "properties.plan",
        "rule": "enum",
        "expected": 'enum ["free", "pro"]',
        "came": "string",
        "action": "warned",
        "received_at": "2026-11-20T00:00:00.000Z",
        "payload_base64": "AP8=",
    }
    return line(row | changes)


def rejected(**changes: Any) -> bytes:
    row = {
        "rejected_id": str(uuid.UUID(int=1)),
        "source": "shop",
        "connector": "segment",
        "reason": "unreadable",
        "detail": "not JSON",
        "payload_base64": "AP8=",
        "received_at": "2026-11-20T00:00:00.000Z",
        "form": "body",
        "request": '["/v1/batch",{},"",""]',
        "topic": "",
        "partition": 0,
        "key_base64": "",
        "epoch": 0,
    }
    return line(row | changes)
