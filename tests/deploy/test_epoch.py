"""Workers wait for Kafka and for `setup`, and say so once each, soon."""

from __future__ import annotations

import time

import pytest
from kafka.errors import KafkaError
from structlog.testing import capture_logs

from deploy import epoch
from deploy.local.processes import free_port
from deploy.sections import KafkaSettings

AWAY = KafkaSettings(bootstrap_servers=f"127.0.0.1:{free_port()}")


def test_a_kafka_that_is_away_is_noticed_soon() -> None:
    began = time.monotonic()
    with pytest.raises(KafkaError):
        epoch.read(AWAY, "")
    assert time.monotonic() - began < 15


def test_each_reason_to_wait_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seventh = epoch.Present(7, "cluster", "")
    answers: list[KafkaError | epoch.Present | None] = [
        KafkaError(), KafkaError(), None, None, seventh,
    ]  # fmt: skip

    def read(kafka: KafkaSettings, namespace: str, setting: str) -> epoch.Present | None:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(epoch, "read", read)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    with capture_logs() as said:
        assert epoch.wait_for(AWAY, "") == seventh
    assert [line["event"] for line in said] == ["kafka_unreachable", "no_epoch"]
    assert said[0]["servers"] == AWAY.bootstrap_servers
    assert said[1]["hint"] == "run touchline setup"
