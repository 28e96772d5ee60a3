"""Workers wait for Kafka and for `setup`, and say so once each, soon."""

from __future__ import annotations

import json
import time

import pytest
from kafka.errors import KafkaError
from structlog.testing import capture_logs

from deploy.config.sections import KafkaSettings
from deploy.kafka import control
from deploy.local.ports import free_port

AWAY = KafkaSettings(bootstrap_servers=f"127.0.0.1:{free_port()}")


@pytest.mark.integration
def test_a_kafka_that_is_away_is_noticed_soon() -> None:
    began = time.monotonic()
    with pytest.raises(KafkaError):
        control.read_generation(AWAY, "")
    assert time.monotonic() - began < 15


def test_each_reason_to_wait_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seventh = control.Generation(7, "cluster", "")
    answers: list[KafkaError | control.Generation | None] = [
        KafkaError(), KafkaError(), None, None, seventh,
    ]  # fmt: skip

    def read(kafka: KafkaSettings, namespace: str, setting: str) -> control.Generation | None:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(control, "read_generation", read)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    with capture_logs() as said:
        assert control.wait_for(AWAY, "") == seventh
    assert [line["event"] for line in said] == ["kafka_unreachable", "no_epoch"]
    assert said[0]["servers"] == AWAY.bootstrap_servers
    assert said[1]["hint"] == "run touchline setup"


def test_what_a_later_release_says_of_an_epoch_besides_is_passed_over() -> None:
    ours = control.Generation(7, "cluster", "brand.g7", 8)
    said = json.dumps({**json.loads(control.encode(ours)), "later": [1]}).encode()
    assert control.decode(said, "brand") == ours


def test_what_an_older_release_did_not_say_of_an_epoch_is_as_it_was_then() -> None:
    found = control.decode(b'{"epoch": 7, "cluster_id": "cluster"}', "brand")
    assert found == control.Generation(7, "cluster", "brand")


def test_a_generation_has_its_number_behind_the_deployments_namespace() -> None:
    assert control.generation_namespace("shop", 7) == "shop.g7"
    assert control.generation_namespace("", 7) == "g7"
