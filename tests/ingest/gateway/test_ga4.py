"""The Measurement Protocol over a real socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from ingest.connectors.ga4.contract import Ga4Contract
from tests.support.gateway import Gateway, serving, source

NOW_MS = 1_795_161_600_000
PAYLOADS = Ga4Contract.payloads


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    given = [
        source("server", "ga4", {"api_secret": ["s-one", "s-old"]}),
        source("app", "ga4", {"api_secret": "s-two"}),
    ]
    async with serving(given=given, now_ms=lambda: NOW_MS) as running:
        yield running


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/mp/collect?measurement_id=G-1&api_secret=s-one", "server"),
        ("/mp/collect?api_secret=s-old&measurement_id=G-1", "server"),
        ("/mp/collect?firebase_app_id=1:2:ios:3&api_secret=s-two", "app"),
        ("/hooks/app?measurement_id=G-1&api_secret=s-two", "app"),
    ],
)
async def test_the_secret_finds_the_source(gateway: Gateway, path: str, name: str) -> None:
    for value in PAYLOADS.values():
        answer = await gateway.post(path, value)
        assert (answer.status, answer.body) == (204, b"")
    assert {row["source"] for row in gateway.accepted} == {name}
    assert gateway.rejected == []


@pytest.mark.parametrize(
    "path",
    [
        "/mp/collect", "/mp/collect?api_secret=", "/mp/collect?api_secret=wrong",
        "/hooks/server?api_secret=s-two", "/hooks/server",
    ],
)  # fmt: skip
async def test_without_a_valid_secret_nothing_is_kept(gateway: Gateway, path: str) -> None:
    answer = await gateway.post(path, PAYLOADS["purchase"])
    assert (answer.status, answer.json["code"]) == (401, "unauthorized")
    assert gateway.publisher.records == []


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"not json", 400, "unreadable"),
        ({"client_id": "1.2", "events": [{}]}, 400, "invalid"),
        ({"events": [{"name": "login"}]}, 204, "no_identifier"),
        ({"client_id": "1.2", "events": [{"name": "x"}] * 10_001}, 413, "too_many"),
    ],
)
async def test_what_is_refused_is_said_and_kept(
    gateway: Gateway, body: Any, status: int, reason: str
) -> None:
    answer = await gateway.post("/mp/collect?api_secret=s-one", body)
    assert answer.status == status
    assert gateway.rejected[0]["reason"] == reason
    assert "s-one" not in str(gateway.rejected)
