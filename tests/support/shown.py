"""The views of ClickHouse over the topics of an in-memory pipeline."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import convert
from msgspec.structs import asdict

from processors.stage import Record
from schemas import topics
from schemas.touchpoint_row import TouchpointRow

_row = msgspec.json.Decoder(dict[str, Any])
Key = tuple[Any, ...]


class Shown:
    """The newest version of each row, as the views give it."""

    logs: dict[tuple[str, int], list[Record]]

    def published(self, topic: str) -> list[dict[str, Any]]:
        """Every row of a topic, in no order between partitions."""
        return [
            _row.decode(record.value)
            for (name, _), log in self.logs.items()
            if name == topic
            for record in log
        ]

    def rows(self, topic: str, *key: str, by: str = "version") -> dict[Key, dict[str, Any]]:
        """The newest version of each row of a topic, by its sorting key."""
        newest: dict[Key, dict[str, Any]] = {}
        for row in self.published(topic):
            at = tuple(row[column] for column in key)
            if at not in newest or row.get(by, 0) >= newest[at].get(by, 0):
                newest[at] = row
        return newest

    def touchpoints(self) -> dict[Key, dict[str, Any]]:
        """With what their lines leave out, as the columns' defaults have it."""
        found = self.rows(topics.DEDUPLICATED.name, "source", "event_id", "lead_id")
        return {key: asdict(convert(row, TouchpointRow)) for key, row in found.items()}

    def profiles(self) -> dict[str, dict[str, Any]]:
        found = self.rows(topics.PROFILES.name, "profile_id")
        return {row["profile_id"]: row for row in found.values() if row["touchpoints"]}

    def identities(self) -> dict[tuple[str, str], str]:
        found = self.rows(topics.IDENTITIES.name, "identifier_id")
        return {(row["kind"], row["value"]): row["profile_id"] for row in found.values()}

    def members(self) -> set[tuple[str, str]]:
        found = self.rows(topics.SEGMENT_CHANGES.name, "segment", "profile_id")
        return {key for key, row in found.items() if row["change"] == "entered"}

    def changes(self) -> dict[tuple[str, str], list[dict[str, Any]]]:
        """(segment, profile) -> its changes, the oldest first."""
        found: dict[tuple[str, str], list[dict[str, Any]]] = {}
        rows = self.rows(topics.SEGMENT_CHANGES.name, "segment", "profile_id", "version")
        for (segment, profile, _), row in sorted(rows.items()):
            found.setdefault((segment, profile), []).append(row)
        return found

    def conflicts(self) -> dict[Key, dict[str, Any]]:
        return self.rows(topics.CONFLICTS.name, "identifier_id", "lead_id", "reason")

    def verdicts(self) -> dict[Key, dict[str, Any]]:
        """(kind, value of the lead, kind, value) -> the last decision about their link."""
        key = ("lead_kind", "lead_value", "kind", "value")
        return self.rows(topics.LINK_VERDICTS.name, *key, by="position")

    def splits(self) -> dict[Key, dict[str, Any]]:
        return self.rows(topics.SPLITS.name, "split_id", "position")

    def engagement(self) -> dict[Key, tuple[int, float, float]]:
        columns = ("window_start", "channel", "type", "source", "campaign_name", "value_currency")
        total: dict[Key, tuple[int, float, float]] = {}
        for row in self.rows(topics.ENGAGEMENT.name, *columns, "home").values():
            at = tuple(row[column] for column in columns)
            touches, amount, duration = total.get(at, (0, 0.0, 0.0))
            total[at] = (
                touches + row["touchpoints"],
                round(amount + float(row["value_amount"]), 6),
                round(duration + row["duration_s"], 3),
            )
        return total

    def answer(self) -> dict[str, Any]:
        """All that must not depend on order, duplication, delay or crashes."""
        return {
            "touchpoints": {
                key: {name: value for name, value in row.items() if name != "received_at"}
                for key, row in self.touchpoints().items()
            },
            "profiles": {
                key: {
                    name: value
                    for name, value in row.items()
                    if name not in ("version", "updated_at", "received_at")
                }
                for key, row in self.profiles().items()
            },
            "identities": self.identities(),
            "members": self.members(),
            "engagement": self.engagement(),
        }
