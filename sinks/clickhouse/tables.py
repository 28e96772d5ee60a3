"""The tables, the topics that fill them, and the names of the databases. Declared here only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from schemas import topics
from schemas.topics import Topic, full_name


@dataclass(frozen=True, slots=True)
class Table:
    """A storage table and the topic whose records are its rows, one line of JSON each."""

    name: str
    topic: Topic
    #: True if rows carry an epoch, so that a rebuild beside the running system is invisible.
    derived: bool = True
    #: True if rows carry the time at which the gateway received their cause (`received_at`).
    timed: bool = False

    def group(self, namespace: str) -> str:
        """Return the consumer group's name on the broker."""
        return full_name(namespace, f"touchline-sink-{self.name}")


TOUCHPOINTS = Table("touchpoints", topics.DEDUPLICATED, derived=False, timed=True)
REJECTED = Table("rejected_touchpoints", topics.REJECTED, derived=False)
IDENTITIES = Table("identities", topics.IDENTITIES)
PROFILES = Table("profiles", topics.PROFILES, timed=True)
SEGMENT_CHANGES = Table("segment_changes", topics.SEGMENT_CHANGES)
ENGAGEMENT = Table("engagement", topics.ENGAGEMENT)
CONFLICTS = Table("identity_conflicts", topics.CONFLICTS)
VIOLATIONS = Table("plan_violations", topics.VIOLATIONS, derived=False)
#: A rebuild reads these two of the shown epoch, to decide everything in the same order again.
LINKS = Table("identity_links", topics.LINK_VERDICTS)
SPLITS = Table("identity_splits", topics.SPLITS)

TABLES = (
    TOUCHPOINTS, REJECTED, IDENTITIES, PROFILES, SEGMENT_CHANGES, ENGAGEMENT, CONFLICTS, LINKS,
    SPLITS, VIOLATIONS,
)  # fmt: skip

#: Derived tables that keep nothing of a past epoch. The history of segments is kept: its view shows
#: each epoch for the time in which it was the present one.
REPLACED_BY_EPOCH = (
    *(table.name for table in TABLES if table.derived and table is not SEGMENT_CHANGES),
    "segment_membership",
    "identity_link_state",
)


class Databases(NamedTuple):
    """The names of the storage database and of the database with the views for BI."""

    storage: str
    bi: str


def databases(namespace: str) -> Databases:
    """Return a deployment's databases: the namespace is the suffix of their names."""
    suffix = f"_{namespace}" if namespace else ""
    return Databases(f"touchline{suffix}", f"touchline_bi{suffix}")


def quoted(name: str) -> str:
    """Quote a database or table name for SQL, whatever characters it contains."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"
