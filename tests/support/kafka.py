"""The two brokers: the real Apache Kafka, and the in-memory one of `touchline up`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.broker import EmbeddedBroker
from deploy.local.kafka import KafkaNode, KafkaUnavailable, LocalKafka, class_path
from deploy.local.ports import free_port

#: A broker of a test lives for minutes: code of the first compiler starts sooner, and optimizing it
#: costs a third more processor time than it saves.
os.environ.setdefault("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1")


def require_kafka() -> None:
    """Skip the test where Java or Maven is missing; fail it if TOUCHLINE_REQUIRE_KAFKA is set."""
    try:
        class_path()
    except KafkaUnavailable as problem:
        reason = f"real Kafka tests did not run: {problem}"
        if os.environ.get("TOUCHLINE_REQUIRE_KAFKA"):
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture(scope="session")
def kafka_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKafka]:
    """A real Apache Kafka for the whole run; use a namespace of your own in it.

    Where Java or Maven is missing the test is skipped, or fails if TOUCHLINE_REQUIRE_KAFKA is set.
    """
    require_kafka()
    node = KafkaNode(tmp_path_factory.mktemp("kafka"), port=free_port(), heap="512m")
    with LocalKafka(node) as broker:
        yield broker


@pytest.fixture
def own_kafka(tmp_path: Path) -> Iterator[LocalKafka]:
    """A real Apache Kafka of its own, for a test that stops it."""
    require_kafka()
    with LocalKafka(KafkaNode(tmp_path / "kafka", port=free_port(), heap="384m")) as broker:
        yield broker


@pytest.fixture(scope="session")
def embedded_broker() -> Iterator[EmbeddedBroker]:
    """The in-memory broker for the whole run; use a namespace of your own in it."""
    with EmbeddedBroker() as broker:
        yield broker
