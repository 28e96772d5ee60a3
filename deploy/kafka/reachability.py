"""A check that Kafka answers, with a connection of its own."""

from __future__ import annotations

import contextlib
from typing import Any

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from deploy.config.sections import KafkaSettings
from deploy.kafka.clients import blocking

#: Longest time of a check, beside that for the connection, milliseconds.
_TIMEOUT_MS = 5_000
#: The errors of a check.
UNREACHABLE: tuple[type[Exception], ...] = (KafkaError, OSError)


class BrokerCheck:
    """Asks a broker for its cluster. The connection is kept, and opened anew after a failure.

    For one thread. Raises one of `UNREACHABLE` when no broker answers in time.
    """

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._admin: Any = None

    def __call__(self) -> None:
        """Return normally if a broker answers."""
        try:
            if self._admin is None:
                self._admin = KafkaAdminClient(
                    **blocking(self._kafka),
                    bootstrap_timeout_ms=_TIMEOUT_MS,
                    request_timeout_ms=_TIMEOUT_MS,
                )
            self._admin.describe_cluster()
        except UNREACHABLE:
            self.close()
            raise

    def close(self) -> None:
        """Disconnect."""
        admin, self._admin = self._admin, None
        if admin is not None:
            with contextlib.suppress(KafkaError, OSError):
                admin.close()
