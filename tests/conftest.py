"""Settings of all tests, and the fixtures of `tests.support`, which each suite may use by name."""

from __future__ import annotations

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
    """Mark tests that use such a fixture, or a real Kafka of their own, as `integration`."""
    for item in items:
        if item.get_closest_marker("kafka") or not SERVICES.isdisjoint(item.fixturenames):
            item.add_marker(pytest.mark.integration)
