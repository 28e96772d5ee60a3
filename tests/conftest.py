"""Brokers and waiting, shared by all tests."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from deploy.local.broker import MockBroker
from deploy.local.kafka import KafkaNode, KafkaUnavailable, LocalKafka, class_path
from deploy.runtime.processes import free_port
from tests.support.clickhouse import *  # noqa: F403 - its fixtures, for all tests
from tests.support.mail_server import MailServer, jar

# On a busy machine a slow example is no failure.
settings.register_profile("touchline", deadline=None)
settings.load_profile("touchline")


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


def require_kafka() -> None:
    try:
        class_path()
    except KafkaUnavailable as problem:
        reason = f"real Kafka tests did not run: {problem}"
        if os.environ.get("TOUCHLINE_REQUIRE_KAFKA"):
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture(scope="module")
def mail_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailServer]:
    """A real IMAP server for a file of tests; use a folder of your own in it.

    Not for the whole run: it works without end on each connection that a test cuts. Skipped or
    failed as `kafka_broker` is.
    """
    jar()
    server = MailServer(tmp_path_factory.mktemp("mail"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def mock_broker() -> Iterator[MockBroker]:
    """The in-memory broker for the whole run; use a namespace of your own in it."""
    with MockBroker() as broker:
        yield broker


@pytest.fixture
def wait_for() -> Callable[..., None]:
    """`wait_for(condition, timeout=10)`: poll until the condition is true, or fail."""

    def wait(condition: Callable[[], object], timeout: float = 10, interval: float = 0.05) -> None:
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline:
                pytest.fail(f"not true within {timeout} s: {condition}")
            time.sleep(interval)

    return wait
