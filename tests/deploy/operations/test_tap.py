"""`touchline tap` on the in-memory broker: what is shown, and what is not of whom."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka import KafkaProducer

from deploy.cli.main import run
from deploy.config.settings import load
from deploy.kafka.clients import blocking
from deploy.kafka.control import Generation, announce
from deploy.local.broker import EmbeddedBroker
from deploy.operations.tap import TouchFilter, line
from ingest.intake.accept import Accepted, SourcePolicy, accept
from schemas import touchpoint_row
from schemas.identifiers import Identifier
from schemas.topics import TOUCHPOINTS, full_name
from schemas.touchpoint_row import TouchpointRow
from tests.support.touches import touch

Capture = pytest.CaptureFixture[str]
MAIL = ("email", "hanako@example.jp")
NOW_MS = 1_780_000_000_000


def accepted(event_id: str, *identifiers: tuple[str, str], source: str = "shop") -> Accepted:
    found = accept(
        touch(
            event_id,
            *identifiers,
            traits={"name": "山田 花子"},
            subject="Your order, Hanako",
            url="https://shop.example.com/cart?mail=hanako",
            properties={"note": "hanako"},
            consent={"marketing": True},
            value={"amount": "12.5", "currency": "JPY"},
        ),
        SourcePolicy(source),
        NOW_MS,
        b"",
    )
    assert isinstance(found, Accepted)
    return found


def row(*identifiers: tuple[str, str], source: str = "shop") -> TouchpointRow:
    return touchpoint_row.decode(accepted("e1", *identifiers, source=source).value)


def test_personal_data_are_masked_unless_asked_for():
    one = row(MAIL, ("customer_id", "c1"))
    shown = line(one, personal=False)
    assert shown == (
        "2026-05-01T00:00:00.000Z  shop  web page_viewed  customer_id …  email ha…  traits name"
        "  consent marketing: yes  12.5 JPY  Yo…  https://shop.example.com/cart"
    )
    told = line(one, personal=True)
    for value in ("hanako@example.jp", "c1", "山田 花子", "Your order, Hanako", "?mail=hanako"):
        assert value not in shown
        assert value in told


def test_filters_choose_by_source_channel_type_and_customer():
    one = row(MAIL)
    assert TouchFilter().matches(one)
    assert TouchFilter("shop", "web", "page_viewed", Identifier(*MAIL)).matches(one)
    for other in (
        TouchFilter(source="crm"),
        TouchFilter(channel="phone"),
        TouchFilter(type="call_missed"),
        TouchFilter(identifier=Identifier("email", "taro@example.jp")),
        TouchFilter(identifier=Identifier("x", "hanako@example.jp")),
    ):
        assert not other.matches(one)


@pytest.fixture
def _touches(
    embedded_broker: EmbeddedBroker, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """One touch after another of two sources, with one record between that is none."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TOUCHLINE_CONFIG", raising=False)
    monkeypatch.setenv("TOUCHLINE_NAMESPACE", namespace)
    monkeypatch.setenv("TOUCHLINE_KAFKA__BOOTSTRAP_SERVERS", embedded_broker.bootstrap_servers)
    monkeypatch.setenv("TOUCHLINE_KAFKA__EMBEDDED", "true")
    kafka, over = load().settings.kafka, threading.Event()
    announce(kafka, namespace, Generation(1, "cluster", namespace))
    topic = full_name(namespace, TOUCHPOINTS.name)
    producer = KafkaProducer(**blocking(kafka))

    def send() -> None:
        number = 0
        while not over.wait(0.05):
            number += 1
            source = ("shop", "crm")[number % 2]
            one = accepted(f"event-{number}", MAIL, source=source)
            producer.send(topic, key=one.key, value=one.value)
            producer.send(topic, key=one.key, value=b"no touch")

    producer.send(topic, key=b"", value=b"first").get(10)
    thread = threading.Thread(target=send)
    thread.start()
    # As for a user: nobody tells the command what kind of Kafka `up` runs.
    monkeypatch.delenv("TOUCHLINE_KAFKA__EMBEDDED")
    yield
    over.set()
    thread.join()
    producer.close()


@pytest.mark.usefixtures("_touches")
def test_touches_are_shown_as_they_pass(capsys: Capture):
    told = ["tap", "--source", "crm", "--identifier", "email:Hanako@Example.jp", "--limit", "2"]
    assert run([*told, "--json", "--personal"]) == 0
    said = capsys.readouterr()
    assert said.err == "touchline: waiting for touches; Ctrl-C ends\n"
    first, second = map(json.loads, said.out.splitlines())
    assert [one["source"] for one in (first, second)] == ["crm", "crm"]
    assert first["event_id"] != second["event_id"]
    assert first["identifiers"] == {"email": ["hanako@example.jp"]}
    assert run(["tap", "--limit", "1"]) == 0
    assert "hanako" not in capsys.readouterr().out
