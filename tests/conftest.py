"""Settings of all tests, and the fixtures of `tests.support`, which each suite may use by name."""

from __future__ import annotations

from hypothesis import settings

#: Each fixture stands beside what it makes.
pytest_plugins = (
    "tests.support.clickhouse",
    "tests.support.gateway",
    "tests.support.kafka",
    "tests.support.mail_server",
    "tests.support.sinking",
    "tests.support.waiting",
)

# On a busy machine a slow example is no failure.
settings.register_profile("touchline", deadline=None)
settings.load_profile("touchline")
