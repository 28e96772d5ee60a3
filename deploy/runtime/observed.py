"""Processes that operators see: endpoints, health, and the watches of what they depend on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from functools import partial

from prometheus_client import REGISTRY

from deploy.config.settings import Settings
from deploy.kafka.reachability import UNREACHABLE, BrokerCheck
from deploy.runtime.factories.clickhouse import clickhouse_config
from deploy.runtime.health import Dependency, DependencyWatch, Health
from deploy.runtime.metrics.catalogue import DEPENDENCY_UP
from deploy.runtime.metrics.exposition import Exposition
from sinks.clickhouse.client import ClickHouse, ClickHouseError

#: Longest time in which ClickHouse has to answer a check; an insert may take longer.
_CHECK_S = 10


@contextmanager
def observed(settings: Settings, port: int, *, clickhouse: bool = False) -> Iterator[Health]:
    """Serve a process's endpoints and watch Kafka, and ClickHouse if it writes there.

    The process calls `Health.started` once it has begun its work. Raises OSError if the port is in
    use; port 0 picks a free one.
    """
    health = Health()
    with ExitStack() as stack:
        stack.enter_context(Exposition(settings.metrics.host, port, health))
        needed = [Dependency("Kafka", BrokerCheck(settings.kafka), UNREACHABLE)]
        if clickhouse:
            config = replace(clickhouse_config(settings), timeout_s=_CHECK_S)
            client = stack.enter_context(closing(ClickHouse(config)))
            check = partial(client.run, "SELECT 1")
            needed.append(Dependency("ClickHouse", check, (ClickHouseError,)))
        up = DEPENDENCY_UP.make(REGISTRY)
        for dependency in needed:
            stack.enter_context(DependencyWatch(health, dependency, up))
        yield health
