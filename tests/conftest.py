"""Settings of all tests, and the fixtures of `tests.support`, which each suite may use by name."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

#: Each fixture stands beside what it makes.
pytest_plugins = (
    "tests.support.clickhouse",
    "tests.support.gateway",
    "tests.support.kafka",
    "tests.support.logs",
    "tests.support.mail_server",
    "tests.support.sinking",
    "tests.support.waiting",
)

# On a busy machine a slow example is no failure.
settings.register_profile("touchline", deadline=None)
settings.load_profile("touchline")

#: Fixtures that start a process: whoever uses one is no unit test.
SERVICES = {
    "clickhouse",
    "kafka_broker",
    "mail_server",
    "embedded_broker",
    "own_clickhouse",
    "own_kafka",
}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests that use such a fixture, or a real Kafka of their own, as `integration`.

    Files with the longest tests come first, so that the short ones fill the last gaps where several
    workers share the files.
    """
    longest: dict[Path, int] = {}
    for item in items:
        kafka = item.get_closest_marker("kafka") is not None
        if kafka or not SERVICES.isdisjoint(item.fixturenames):
            item.add_marker(pytest.mark.integration)
        length = 2 if kafka else item.get_closest_marker("integration") is not None
        longest[item.path] = max(longest.get(item.path, 0), length)
    items.sort(key=lambda item: -longest[item.path])
