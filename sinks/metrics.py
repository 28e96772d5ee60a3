"""The port for the sink's metrics, and a double that ignores them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class SinkMetrics(Protocol):
    """The metrics of the sink; `table` is a table's name, every time is in seconds."""

    def inserted(self, table: str, rows: int, size: int, seconds: float) -> None:
        """Report an insert of this number of rows and bytes, and its duration."""

    def retried(self, table: str, cause: str) -> None:
        """Report a retry; cause is insert, reject, commit, poll or connect."""

    def rejected(self, table: str, rows: int) -> None:
        """Report rows that ClickHouse cannot read and that were set aside."""

    def unwritten(self, table: str, age: float) -> None:
        """Report the age of the oldest record read that is not in ClickHouse yet, 0 for none."""

    def queryable(self, table: str, seconds: Sequence[float]) -> None:
        """Report seconds from the gateway's receipt to the insert's end, for a sample of rows."""


class NoMetrics:
    """Metrics that are ignored."""

    def inserted(self, table: str, rows: int, size: int, seconds: float) -> None:
        """Ignore."""

    def retried(self, table: str, cause: str) -> None:
        """Ignore."""

    def rejected(self, table: str, rows: int) -> None:
        """Ignore."""

    def unwritten(self, table: str, age: float) -> None:
        """Ignore."""

    def queryable(self, table: str, seconds: Sequence[float]) -> None:
        """Ignore."""
