"""One customer, read from the views."""

from __future__ import annotations

import uuid
from dataclasses import asdict, dataclass
from typing import Any

from schemas.identifiers import Identifier
from sinks.clickhouse.client import ClickHouse
from sinks.clickhouse.tables import databases, quoted

RECENT = 20


@dataclass(frozen=True, slots=True)
class Customer:
    """A profile with its identifiers, segments and newest touches, newest first."""

    profile: dict[str, Any]
    identifiers: list[dict[str, Any]]
    segments: list[dict[str, Any]]
    touchpoints: list[dict[str, Any]]

    def as_dict(self) -> dict[str, Any]:
        """Return the document for `--json`."""
        return asdict(self)


def identifier_with_id(
    clickhouse: ClickHouse, namespace: str, own_id: uuid.UUID
) -> Identifier | None:
    """Return the identifier with this id, as every profile's id is one; None if none has it.

    Raises `sinks.clickhouse.client.ClickHouseError`.
    """
    sql = (
        f"SELECT kind, value FROM {quoted(databases(namespace).bi)}.identities "  # noqa: S608
        "WHERE identifier_id = {own:UUID}"
    )
    for row in clickhouse.rows(sql, {"own": str(own_id)}):
        return Identifier(row["kind"], row["value"])
    return None


def find(clickhouse: ClickHouse, namespace: str, identifier: Identifier) -> Customer | None:
    """Return the customer of an identifier in normal form; None if it was never seen.

    Raises `sinks.clickhouse.client.ClickHouseError`.
    """
    bi = quoted(databases(namespace).bi)

    def rows(sql: str, **parameters: Any) -> list[dict[str, Any]]:
        return clickhouse.rows(sql.replace("{bi}", bi), parameters)

    found = rows(
        "SELECT profile_id FROM {bi}.identities "
        "WHERE kind = {kind:String} AND value = {value:String}",
        kind=identifier.kind,
        value=identifier.value,
    )
    if not found:
        return None
    one = {"profile": found[0]["profile_id"]}
    profiles = rows("SELECT * FROM {bi}.profiles WHERE profile_id = {profile:UUID}", **one)
    return Customer(
        profiles[0] if profiles else {"profile_id": one["profile"], "touchpoints": 0},
        rows(
            "SELECT kind, value, linked_at FROM {bi}.identities "
            "WHERE profile_id = {profile:UUID} ORDER BY linked_at, kind, value",
            **one,
        ),
        rows(
            "SELECT segment, since FROM {bi}.segment_members "
            "WHERE profile_id = {profile:UUID} ORDER BY segment",
            **one,
        ),
        rows(
            "SELECT occurred_at, channel, type, source, direction, campaign_name, subject, url, "
            "outcome, value_amount, value_currency, event_id FROM {bi}.touchpoints "
            "WHERE profile_id = {profile:UUID} "
            "ORDER BY occurred_at DESC, event_id LIMIT {recent:UInt32}",
            **one,
            recent=RECENT,
        ),
    )
