"""Detection of the embedded Kafka of `touchline up`, by asking the broker itself."""

from __future__ import annotations

import contextlib
from typing import Any

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from deploy.config.settings import Settings, with_changes
from deploy.kafka.clients import blocking

#: Prefix of the cluster ids of librdkafka's in-memory broker.
_MOCK = "mockCluster"


def detect_embedded(settings: Settings) -> Settings:
    """Return the settings, with `kafka.embedded` set if the Kafka at their address is embedded."""
    if settings.kafka.embedded:
        return settings
    mock = with_changes(settings, {"kafka": {"embedded": True}})
    try:
        admin: Any = KafkaAdminClient(**blocking(mock.kafka), bootstrap_timeout_ms=1_500)
    except (KafkaError, OSError):
        return settings
    with contextlib.closing(admin):
        try:
            cluster_id = str(admin.describe_cluster()["cluster_id"])
        except (KafkaError, OSError):
            return settings
    return mock if cluster_id.startswith(_MOCK) else settings
