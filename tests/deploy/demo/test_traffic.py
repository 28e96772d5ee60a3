"""The generated traffic: the same by seed, signed properly, read as its generator intended."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal

import pytest

from deploy.demo.cdnow import purchases
from deploy.demo.delivery import CONNECTORS, Delivery
from deploy.demo.generate import Size, Traffic, history, traffic
from deploy.demo.wire import PUBLIC_URL, Keys, request
from ingest.connector import Context, Request, WebhookConnector, original
from ingest.intake.accept import Accepted, SourcePolicy, accept
from ingest.registry import Registry
from schemas.rejection import Rejection
from schemas.times import from_ms, parse_ms
from schemas.touchpoint_row import TouchpointRow, decode

NOW_MS = 1_795_336_000_000
SMALL = Size().scaled(0.06)
KEYS = Keys()


@pytest.fixture(scope="module")
def small() -> Traffic:
    return traffic(NOW_MS, size=SMALL)


@pytest.fixture(scope="module")
def connectors() -> dict[str, WebhookConnector]:
    made = {}
    for name, options in KEYS.sources().items():
        options.pop("connector")
        connector = Registry().create(CONNECTORS[name], options)  # type: ignore[index]
        assert isinstance(connector, WebhookConnector)
        made[name] = connector
    return made


def raw(delivery: Delivery, keys: Keys = KEYS) -> Request:
    """The request as a connector sees it, the gateway's Content-Encoding undone."""
    shaped = request(delivery, keys, NOW_MS)
    headers = {name.lower(): value for name, value in shaped.headers.items()}
    body = gzip.decompress(shaped.body) if "content-encoding" in headers else shaped.body
    path, _, query = shaped.path.partition("?")
    return Request("POST", path, query, PUBLIC_URL + shaped.path, headers, body)


def read(delivery: Delivery, connector: WebhookConnector) -> Iterator[Accepted | Rejection]:
    policy = SourcePolicy(delivery.source)
    for result in connector.parse(raw(delivery), Context(delivery.source, NOW_MS)):
        if isinstance(result, Rejection):
            yield result
        else:
            yield accept(result, policy, NOW_MS, lambda result=result: original(result))


def rows(delivery: Delivery, connector: WebhookConnector) -> Iterator[TouchpointRow]:
    for result in read(delivery, connector):
        if isinstance(result, Accepted):
            yield decode(result.value)


def test_the_same_seed_and_moment_give_the_same_deliveries(small: Traffic) -> None:
    assert traffic(NOW_MS, size=SMALL) == small
    assert traffic(NOW_MS, seed=2, size=SMALL).generated != small.generated


def test_the_demo_generates_about_50_000_touches() -> None:
    events = sum(len(d.kept) for d in traffic(NOW_MS).generated if not d.again)
    assert 40_000 <= events <= 60_000


def test_every_signature_verifies_and_a_wrong_key_does_not(
    small: Traffic, connectors: dict[str, WebhookConnector]
) -> None:
    wrong = Keys()
    seen = set()
    for delivery in [*small.history[:3], *small.generated]:
        connector = connectors[delivery.source]
        if delivery.forged:
            assert not connector.verify(raw(delivery, wrong), NOW_MS)
            seen.add(delivery.source)
        else:
            assert connector.verify(raw(delivery), NOW_MS), delivery
    assert seen == CONNECTORS.keys() - {"shop"}


def test_connectors_read_what_the_generator_intended(
    small: Traffic, connectors: dict[str, WebhookConnector]
) -> None:
    for delivery in [*small.history[:3], *small.generated]:
        if delivery.forged:
            continue
        results = list(read(delivery, connectors[delivery.source]))
        kept = Counter(r.event_id for r in results if isinstance(r, Accepted))
        refused = Counter(r.reason for r in results if isinstance(r, Rejection))
        assert kept == Counter(delivery.kept), delivery
        assert refused == Counter(delivery.refused), (delivery, results)


def test_every_reason_that_can_come_from_outside_is_there(small: Traffic) -> None:
    assert {reason for delivery in small.generated for reason in delivery.refused} == {
        "unreadable", "invalid", "no_identifier", "invalid_time", "too_large", "too_many",
        "unsupported",
    }  # fmt: skip


def test_event_ids_are_distinct_but_for_what_is_sent_again(small: Traffic) -> None:
    first = [(d.source, i) for d in small.generated if not d.again for i in d.kept]
    assert len(set(first)) == len(first)
    again = {(d.source, i) for d in small.generated if d.again for i in d.kept}
    assert again
    assert again <= set(first)


def test_nothing_generated_is_in_the_future_or_looks_like_a_purchase(
    small: Traffic, connectors: dict[str, WebhookConnector]
) -> None:
    for delivery in small.generated:
        if delivery.forged or delivery.again:
            continue
        for row in rows(delivery, connectors[delivery.source]):
            assert row.type != "order_completed"
            assert parse_ms(row.occurred_at) <= NOW_MS + delivery.clock_ahead_ms


def test_a_clock_that_is_ahead_is_corrected(
    small: Traffic, connectors: dict[str, WebhookConnector]
) -> None:
    ahead = [delivery for delivery in small.generated if delivery.clock_ahead_ms]
    assert ahead
    for delivery in ahead:
        for row in rows(delivery, connectors[delivery.source]):
            assert parse_ms(row.occurred_at) <= NOW_MS


def test_purchases_arrive_as_orders_with_the_files_amounts_to_the_cent(
    connectors: dict[str, WebhookConnector],
) -> None:
    bought = purchases(from_ms(NOW_MS).date())[:5_000]
    read_back = [row for d in history(bought) for row in rows(d, connectors["shop"])]
    assert {(row.channel, row.type, row.value_currency) for row in read_back} == {
        ("commerce", "order_completed", "USD")
    }
    assert [
        (row.event_id, row.lead_kind, row.lead_value, parse_ms(row.occurred_at))
        for row in read_back
    ] == [(p.event_id, "customer_id", p.customer_id, p.at_ms) for p in bought]
    assert [Decimal(row.value_amount or "0") for row in read_back] == [p.dollars for p in bought]


def test_identity_has_something_to_decide(small: Traffic) -> None:
    assert None in small.owners.values(), "tablets that belong to nobody"
    assert small.disputed, "addresses that two customers use"
    assert {identifier.kind for identifier in small.owners} == {
        "anonymous_id", "email", "phone", "line",
    }  # fmt: skip
