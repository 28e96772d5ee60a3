"""A double of the gateway's metrics."""

from __future__ import annotations

from collections import Counter


class Counts:
    """Metrics that a test can read."""

    def __init__(self) -> None:
        self.events: Counter[tuple[str, ...]] = Counter()
        self.requests: list[tuple[str, str, int]] = []
        self.publishes: list[bool] = []
        self.refused: Counter[tuple[str, str]] = Counter()

    def received(self, source: str, connector: str, events: int) -> None:
        self.events["received", source, connector] += events

    def accepted(self, source: str, connector: str, events: int) -> None:
        self.events["accepted", source, connector] += events

    def rejected(self, source: str, connector: str, reason: str, events: int) -> None:
        self.events["rejected", source, connector, reason] += events

    def violated(self, source: str, planned_type: str, action: str) -> None:
        self.events["violated", source, planned_type, action] += 1

    def unauthorized(self, source: str, connector: str) -> None:
        self.refused[source, connector] += 1

    def published(self, seconds: float, acknowledged: bool) -> None:
        self.publishes.append(acknowledged)

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        self.requests.append((route, method, status))
