"""What the sink tells the outside: a port for metrics, and a double that keeps nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class SinkMetrics(Protocol):
    """Where the sink reports; `table` is a table's name, every time is in seconds."""

    def inserted(self, table: str, rows: int, size: int, seconds: float) -> None:
        """An insert of so many rows and bytes went in and took so long."""

    def retried(self, table: str, cause: str) -> None:
        """Something is tried again; cause is insert, reject, commit, poll or connect."""

    def rejected(self, table: str, rows: int) -> None:
        """Rows that ClickHouse cannot read were set aside."""

    def unwritten(self, table: str, age: float) -> None:
        """Age of the oldest record in hand that is not in ClickHouse yet; 0 when there is none."""

    def queryable(self, table: str, seconds: Sequence[float]) -> None:
        """For a sample of an insert's rows: from the gateway's receipt to the end of the insert."""


class NoMetrics:
    """Metrics that nobody reads."""

    def inserted(self, table: str, rows: int, size: int, seconds: float) -> None:
        """Nothing."""

    def retried(self, table: str, cause: str) -> None:
        """Nothing."""

    def rejected(self, table: str, rows: int) -> None:
        """Nothing."""

    def unwritten(self, table: str, age: float) -> None:
        """Nothing."""

    def queryable(self, table: str, seconds: Sequence[float]) -> None:
        """Nothing."""
