"""Every Kafka topic, declared in one place.

Keys are the text form of a uuid unless said otherwise, and `partition_of(key)` is the only
partitioner: every producer passes the partition itself, so that all client libraries agree.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Literal

from schemas.times import DAY_MS


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic's logical name and how it is created."""

    name: str
    key: str
    doc: str
    #: None: the deployment's number of partitions (`kafka.partitions`).
    partitions: int | None = None
    cleanup: Literal["delete", "compact"] = "delete"
    retention_ms: int = 7 * DAY_MS
    #: Compaction never removes a row younger than this, so that a late foreign write is seen.
    min_compaction_lag_ms: int = 0

    def config(self) -> dict[str, str]:
        """Return the topic's Kafka configuration."""
        config = {"cleanup.policy": self.cleanup, "max.message.bytes": "1048576"}
        if self.cleanup == "delete":
            config["retention.ms"] = str(self.retention_ms)
        if self.min_compaction_lag_ms:
            config["min.compaction.lag.ms"] = str(self.min_compaction_lag_ms)
        return config


TOUCHPOINTS = Topic("touchpoints", "lead_id", "accepted touchpoints, in the shape of their row")
REJECTED = Topic(
    "touchpoints.rejected",
    "rejected_id",
    "what was refused, with bytes and reason",
    retention_ms=30 * DAY_MS,
)
DEDUPLICATED = Topic("touchpoints.accepted", "lead_id", "touchpoints without redeliveries")
TRAILS = Topic("trails", "profile_id", "absolute trails, moves and watermarks (binary)")
ENGAGEMENT = Topic("engagement", "counter", "absolute engagement counters per home partition")
IDENTITIES = Topic("identities", "identifier_id", "each identifier and its profile")
LINK_REQUESTS = Topic(
    "identity.links",
    "lead_id",
    "links that have no verdict yet, and operators' splits (binary)",
    partitions=1,
)
ASSIGNMENTS = Topic("identity.assignments", "identifier_id", "the graph's answers (binary)")
CONFLICTS = Topic("identity.conflicts", "identifier_id", "links that were refused")
LINK_VERDICTS = Topic("identity.verdicts", "lead_id", "every decision about a link, one row each")
SPLITS = Topic("identity.splits", "split_id", "what operators split or lifted, one row each")
PROFILES = Topic("profiles", "profile_id", "unified profiles")
SEGMENT_CHANGES = Topic("segment.changes", "profile_id", "entries into and exits from segments")
VIOLATIONS = Topic(
    "plan.violations",
    "violation_id",
    "where events differ from the tracking plan of their source",
    retention_ms=30 * DAY_MS,
)
CONTROL = Topic(
    "control",
    "setting name",
    "what all processes share: the epoch",
    partitions=1,
    cleanup="compact",
)
CURSORS = Topic(
    "cursors",
    "kind, source and file",
    "how far imports and pulls are",
    partitions=1,
    cleanup="compact",
)

PUBLIC = (
    TOUCHPOINTS, REJECTED, DEDUPLICATED, TRAILS, ENGAGEMENT, IDENTITIES, LINK_REQUESTS, ASSIGNMENTS,
    CONFLICTS, LINK_VERDICTS, SPLITS, PROFILES, SEGMENT_CHANGES, VIOLATIONS, CONTROL, CURSORS,
)  # fmt: skip
#: Topics that all generations share: a rebuild leaves them alone.
GLOBAL = (CONTROL, CURSORS)


def changelog(group: str, table: str, partitions: int | None = None, *, expires: bool) -> Topic:
    """Return the changelog topic of a stage's table, under the name that Faust gives it."""
    return Topic(
        f"{group}-{table}-changelog",
        "row key",
        f"rows of {group}",
        partitions,
        "delete" if expires else "compact",
        8 * DAY_MS,
        0 if expires else DAY_MS,
    )


def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition of a key: CRC-32 modulo the number of partitions."""
    return zlib.crc32(key) % partitions


def full_name(namespace: str, name: str) -> str:
    """Return a topic's or group's name on the broker: the deployment's namespace is its prefix."""
    return f"{namespace}.{name}" if namespace else name
