"""The demo's sender, against the real gateway over a real socket."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from deploy.demo.delivery import CONNECTORS
from deploy.demo.generate import Size, Traffic, traffic
from deploy.demo.send import Ledger, Sender
from deploy.demo.wire import PUBLIC_URL, Keys
from ingest.connector import WebhookConnector
from ingest.gateway.app import run_gateway
from ingest.gateway.config import GatewayConfig, Ports, Source
from ingest.intake.accept import SourcePolicy
from ingest.publishing.memory import MemoryPublisher
from ingest.registry import Registry
from schemas.topics import REJECTED, TOUCHPOINTS
from schemas.touchpoint_row import decode

NOW_MS = 1_795_336_000_000
KEYS = Keys()


@pytest.fixture(scope="module")
def small() -> Traffic:
    return traffic(NOW_MS, size=Size().scaled(0.02))


def sources() -> list[Source]:
    made = []
    for name, options in KEYS.sources().items():
        options.pop("connector")
        connector = Registry().create(CONNECTORS[name], options)  # type: ignore[index]
        assert isinstance(connector, WebhookConnector)
        made.append(Source(connector, SourcePolicy(name)))
    return made


class Gateway:
    """The gateway with Kafka in memory; asks to wait as often as `busy` says."""

    def __init__(self) -> None:
        self.publisher = MemoryPublisher()
        self.busy = 0
        self.url = ""

    def admission(self) -> float | None:
        if self.busy:
            self.busy -= 1
            return 0.01
        return None


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    gateway, stop = Gateway(), asyncio.Event()
    listening: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    ports = Ports(gateway.publisher, admission=gateway.admission, now_ms=lambda: NOW_MS)
    config = GatewayConfig(port=0, public_url=PUBLIC_URL)
    running = asyncio.create_task(
        run_gateway(config, sources(), ports, stop, started=listening.set_result)
    )
    gateway.url = await listening
    yield gateway
    stop.set()
    await running


def sender(gateway: Gateway) -> Sender:
    return Sender(gateway.url, KEYS, Ledger(), now_ms=lambda: NOW_MS)


def accepted(gateway: Gateway) -> Counter[tuple[str, str]]:
    rows = (decode(record.value) for record in gateway.publisher.of(TOUCHPOINTS.name))
    return Counter((row.source, row.event_id) for row in rows)


async def test_the_ledger_holds_exactly_what_the_gateway_published(
    gateway: Gateway, small: Traffic
) -> None:
    sending = sender(gateway)
    await sending.send_all([*small.history[:2], *small.generated])
    ledger = sending.ledger
    assert ledger.problems == []
    published = accepted(gateway)
    assert ledger.accepted == published.keys()
    assert ledger.repeated == published.total() - len(published) > 0
    assert ledger.refused.total() == len(gateway.publisher.of(REJECTED.name)) > 0
    assert ledger.forged == sum(delivery.forged for delivery in small.generated)


async def test_it_waits_when_asked_to_and_sends_the_same_again(
    gateway: Gateway, small: Traffic
) -> None:
    gateway.busy = 3
    sending = sender(gateway)
    await sending.send_all(small.history[:2])
    assert sending.ledger.waits == 3
    assert len(accepted(gateway)) == 200
    assert sending.ledger.problems == []


async def test_a_wrong_answer_is_a_problem_and_nothing_is_entered_as_accepted(
    gateway: Gateway, small: Traffic
) -> None:
    stranger = Sender(gateway.url, Keys(), Ledger(), now_ms=lambda: NOW_MS)
    await stranger.send_all(small.history[:1])
    assert stranger.ledger.problems == ["shop: answered 401, expected 200"]
    assert stranger.ledger.accepted == set()


async def test_events_are_told_as_they_are_answered(gateway: Gateway, small: Traffic) -> None:
    told: list[int] = []
    await sender(gateway).send_all(small.history[:3], lambda d: told.append(len(d.kept)))
    assert told == [100, 100, 100]
