"""The proofs: all data sent, compared with all data in ClickHouse, without sampling."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Set
from decimal import Decimal
from typing import NamedTuple

from deploy.demo.cdnow import CURRENCY, Purchase, Totals, totals
from deploy.demo.generate import Traffic
from deploy.demo.send import Ledger
from schemas.identifiers import Identifier, identifier_id
from sinks.clickhouse.client import ClickHouse

#: Place where sales can be read -> number and amount there.
_SALES = {
    "touchpoints": (
        "SELECT count() AS n, sum(value_amount) AS amount FROM touchline_bi.touchpoints"
        " WHERE type = 'order_completed' AND value_currency = {currency:String}"
    ),
    "profiles": (
        "SELECT sum(orders) AS n, sum(revenue[{currency:String}]) AS amount"
        " FROM touchline_bi.profiles"
    ),
    "engagement_daily": (
        "SELECT sum(touchpoints) AS n, sum(value_amount) AS amount"
        " FROM touchline_bi.engagement_daily"
        " WHERE type = 'order_completed' AND value_currency = {currency:String}"
    ),
}


class Check(NamedTuple):
    """One proof: the claim, its result, and the numbers."""

    claim: str
    holds: bool
    detail: str


def prove(db: ClickHouse, ledger: Ledger, traffic: Traffic) -> Iterator[Check]:
    """Yield all checks, in the order in which they are shown."""
    yield _answers(ledger)
    yield _exactly_once(db, ledger)
    yield _counted_once(db, ledger)
    yield from _purchases(db, traffic.file)
    yield _each_customer(db, traffic.rows)
    yield _rejected(db, ledger)
    yield _owners(db, traffic)


def _answers(ledger: Ledger) -> Check:
    detail = "; ".join(ledger.problems) or f"{ledger.requests:,} requests"
    return Check(
        "the gateway answered every request as the contract says", not ledger.problems, detail
    )


def _exactly_once(db: ClickHouse, ledger: Ledger) -> Check:
    found = db.rows(
        "SELECT source, event_id, count() AS n FROM touchline_bi.touchpoints"
        " GROUP BY source, event_id"
    )
    return compare_events(
        ledger.accepted, {(row["source"], row["event_id"]): int(row["n"]) for row in found}
    )


def compare_events(accepted: Set[tuple[str, str]], stored: Mapping[tuple[str, str], int]) -> Check:
    """Check that exactly the accepted events are stored, each once."""
    missing = len(accepted - stored.keys())
    foreign = len(stored.keys() - accepted)
    doubled = sum(count > 1 for count in stored.values())
    return Check(
        "each accepted event is in touchline_bi.touchpoints exactly once",
        not (missing or foreign or doubled),
        f"{len(accepted):,} accepted, {len(stored):,} stored; "
        f"{missing:,} missing, {doubled:,} doubled, {foreign:,} foreign",
    )


def _counted_once(db: ClickHouse, ledger: Ledger) -> Check:
    row = db.rows(
        "SELECT (SELECT sum(touchpoints) FROM touchline_bi.profiles) AS profiles,"
        " (SELECT sum(touchpoints) FROM touchline_bi.engagement_daily) AS daily,"
        " (SELECT sum(touchpoints) FROM touchline_bi.engagement_hourly) AS hourly"
    )[0]
    profiles, daily, hourly = (int(row[name] or 0) for name in ("profiles", "daily", "hourly"))
    accepted = len(ledger.accepted)
    return Check(
        "each is counted once in profiles and in engagement, however often it was sent",
        profiles == daily == hourly == accepted,
        f"{accepted:,} accepted; profiles {profiles:,}, daily {daily:,}, hourly {hourly:,}",
    )


def _purchases(db: ClickHouse, file: Totals) -> Iterator[Check]:
    for place, query in _SALES.items():
        row = db.rows(query, {"currency": CURRENCY})[0]
        count, amount = int(row["n"] or 0), Decimal(row["amount"] or 0)
        yield Check(
            f"purchases and revenue in {place} equal the file's, to the cent",
            (count, amount) == (file.purchases, file.dollars),
            f"{count:,} purchases, {amount:,.2f} {CURRENCY}; "
            f"the file has {file.purchases:,} and {file.dollars:,.2f}",
        )


def _each_customer(db: ClickHouse, rows: Iterable[Purchase]) -> Check:
    """Check that each customer's profile has this customer's orders and revenue."""
    by_customer: dict[str, list[Purchase]] = {}
    for row in rows:
        by_customer.setdefault(row.customer_id, []).append(row)
    expected = {customer: totals(bought) for customer, bought in by_customer.items()}
    found = db.rows(
        "SELECT customer_id, orders, revenue[{currency:String}] AS amount"
        " FROM touchline_bi.profiles WHERE orders > 0",
        {"currency": CURRENCY},
    )
    right = sum(
        row["customer_id"] in expected
        and int(row["orders"]) == expected[row["customer_id"]].purchases
        and Decimal(row["amount"]) == expected[row["customer_id"]].dollars
        for row in found
    )
    return Check(
        "each customer's profile has exactly that customer's orders and revenue",
        right == len(found) == len(expected),
        f"{right:,} of {len(expected):,} customers",
    )


def _rejected(db: ClickHouse, ledger: Ledger) -> Check:
    """Check that malformed events are stored as rejected and that forged ones left no trace.

    A request that had to be repeated may have left its refusals twice: refusals are not events.
    """
    found = Counter(
        {
            (row["source"], row["reason"]): int(row["n"])
            for row in db.rows(
                "SELECT source, reason, count() AS n FROM touchline_bi.rejected_touchpoints"
                " GROUP BY source, reason"
            )
        }
    )
    sent = Counter(ledger.refused)
    repeated = found.keys() == sent.keys() and found >= sent and ledger.waits > 0
    return Check(
        "what was malformed is among the rejected with its reason, what was forged left no trace",
        found == sent or repeated,
        f"{ledger.refused.total():,} malformed sent, {found.total():,} rejected; "
        f"{ledger.forged:,} forged requests turned away",
    )


def _owners(db: ClickHouse, traffic: Traffic) -> Check:
    """Check that identifiers belong to their intended owners, and shared tablets to nobody."""
    found = {
        Identifier(row["kind"], row["value"]): row["profile_id"]
        for row in db.rows("SELECT kind, value, profile_id FROM touchline_bi.identities")
    }
    right = 0
    for identifier, owner in traffic.owners.items():
        wanted = identifier_id("customer_id", owner) if owner else identifier_id(*identifier)
        right += found.get(identifier) == wanted
    shared = sum(owner is None for owner in traffic.owners.values())
    return Check(
        "browsers, e-mail addresses, numbers and LINE accounts belong to the right customers",
        right == len(traffic.owners),
        f"{right:,} of {len(traffic.owners):,}, among them {shared} shared tablets that "
        "belong to nobody",
    )
