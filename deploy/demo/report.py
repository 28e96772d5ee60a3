"""The report: questions of a marketer, answered by the views for BI.

Tables use plain characters, so that they read the same in a terminal and in a log.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from deploy.demo import queries
from deploy.demo.generate import Traffic
from deploy.demo.probe import Probe
from deploy.demo.proof import Check
from deploy.demo.send import Ledger
from processors.segments.compile import Segment
from schemas.identifiers import identifier_id
from sinks.clickhouse.client import ClickHouse

Rows = list[dict[str, Any]]


class Report:
    """A printer of the report's sections."""

    def __init__(self, console: Console, db: ClickHouse) -> None:
        self._console = console
        self._db = db

    def touches(self) -> None:
        """Print touches by channel and source."""
        rows = self._db.rows(queries.TOUCHES)
        self._heading("Touches", "What customers and company did, by channel and source.")
        columns = ("channel", "source", "touches", "people", "first", "last")
        self._table(
            columns,
            (
                (r["channel"], r["source"], r["touches"], r["people"], r["first"], r["last"])
                for r in rows
            ),
            total=("all", "", sum(r["touches"] for r in rows), "", "", ""),
        )

    def people(self, traffic: Traffic) -> None:
        """Print people, identifiers, merges and conflicts."""
        self._heading("People", "Who is behind the touches.")
        identities = self._db.rows(queries.IDENTITIES)
        moved = [r for r in identities if r["profile_id"] != identifier_id(r["kind"], r["value"])]
        anonymous = [r for r in moved if r["kind"] == "anonymous_id"]
        profiles = self._db.rows(queries.PROFILES)[0]
        shared = sum(owner is None for owner in traffic.owners.values())
        lines: list[tuple[str, object]] = [
            ("people (profiles with at least one touch)", profiles["people"]),
            ("  of them customers with a customer number", profiles["customers"]),
            ("  of them not known yet: only a browser", profiles["anonymous"]),
            ("  of them on three channels or more", profiles["multichannel"]),
            ("identifiers: customer numbers, addresses, phones, browsers", len(identities)),
            ("merges: identifiers recognised as part of somebody else", len(moved)),
            ("  of them browsers that were anonymous at first", len(anonymous)),
            ("tablets that two people share, kept apart from both", shared),
        ]
        conflicts = self._db.rows(queries.CONFLICTS)
        lines += [(f"merges refused: {r['meaning']}", r["n"]) for r in conflicts]
        self._table(("", "number"), lines)

    def segments(self, segments: Sequence[Segment]) -> None:
        """Print segments with their sizes, including empty ones."""
        self._heading("Segments", "Who is in which segment now; entries and exits are live.")
        found = {row["segment"]: row for row in self._db.rows(queries.SEGMENTS)}
        empty = {"people": 0, "revenue": 0}
        sizes = [(segment, found.get(segment.name, empty)) for segment in segments]
        sizes.sort(key=lambda item: (-item[1]["people"], item[0].name))
        self._table(
            ("segment", "people", "spent so far, USD", "who that is"),
            ((s.name, r["people"], money(r["revenue"]), s.description) for s, r in sizes),
        )

    def engagement(self) -> None:
        """Print engagement by channel for the last 30 days."""
        self._heading(
            "Engagement",
            "The last 30 days by channel; minutes are those on the phone or in the shop.",
        )
        self._table(
            ("channel", "touches", "value, USD", "minutes", "mostly"),
            (
                (r["channel"], r["touches"], money(r["amount"]), r["minutes"], r["mostly"])
                for r in self._db.rows(queries.ENGAGEMENT)
            ),
        )
        rates = self._db.rows(queries.EMAIL_RATES)
        self._table(
            ("campaign", "delivered", "opened", "clicked", "unsubscribed"),
            ((r["campaign"], r["delivered"], r["opened"], r["clicked"], r["left"]) for r in rates),
        )

    def timelines(self) -> None:
        """Print the last touches of the three busiest customers."""
        self._heading(
            "Busiest customers",
            "On the most channels, then with the most touches; what they did last, by the hour.",
        )
        for row in self._db.rows(queries.BUSIEST):
            segments = ", ".join(row["segments"]) or "none"
            self._console.print(
                f"customer {row['customer_id']} ({row['name'] or 'no name'}): "
                f"{row['touchpoints']} touches on {row['channels']} channels, "
                f"{row['orders']} orders, {money(row['revenue'])} USD, "
                f"engagement {row['engagement_score']}\n  segments: {segments}",
                highlight=False,
                markup=False,
            )
            touches = self._db.rows(queries.TIMELINE, {"profile": row["profile_id"]})
            self._table(
                ("when (UTC)", "channel", "what happened", "about"),
                ((r["at"], r["channel"], r["what"], r["about"]) for r in touches),
            )

    def abc(self) -> None:
        """Print the ABC split of revenue."""
        self._heading(
            "ABC split of revenue",
            "Customers by revenue: A bring the first 80 %, B the next 15 %, C the rest.",
        )
        self._table(
            ("class", "customers", "share of customers", "revenue, USD", "share of revenue"),
            (
                (
                    r["class"],
                    r["customers"],
                    f"{r['of_customers']:.1f} %",
                    money(r["revenue"]),
                    f"{r['of_revenue']:.1f} %",
                )
                for r in self._db.rows(queries.ABC)
            ),
        )

    def latency(self, probe: Probe) -> None:
        """Print the latency from received to queryable, under load and when idle."""
        self._heading(
            "How fresh the data is",
            "Seconds from received by the gateway to queryable; under load means while the demo\n"
            "sent as fast as it could, when idle means one touch at a time.",
        )
        loaded = [
            (f"{r['what']}, under load", r["n"], r["p50"], r["p95"], r["most"])
            for r in self._db.rows(queries.LATENCY)
        ]
        idle = [
            (f"{what}, when idle", len(seconds), *spread(seconds))
            for what, seconds in (("touches", probe.touchpoints), ("profiles", probe.profiles))
        ]
        self._table(
            ("", "measured", "half within", "95 % within", "slowest"),
            ((what, n, f"{a:.2f}", f"{b:.2f}", f"{c:.2f}") for what, n, a, b, c in loaded + idle),
        )

    def refused(self, ledger: Ledger) -> None:
        """Print refused events, and the number of redeliveries."""
        self._heading("What was not taken", "Kept with its bytes and a reason, to be replayed.")
        self._table(
            ("reason", "source", "events", "for instance"),
            (
                (r["reason"], r["source"], r["n"], r["example"])
                for r in self._db.rows(queries.REJECTED)
            ),
        )
        self._table(
            ("also", "number"),
            (
                ("events delivered again, recognised and counted once", ledger.repeated),
                ("requests with a forged signature, turned away", ledger.forged),
                ("times the gateway asked a sender to wait", ledger.waits),
            ),
        )

    def proof(self, checks: Sequence[Check]) -> None:
        """Print the proofs, one line each and the numbers below."""
        self._heading("Proof", "What was sent, compared with what ClickHouse has; nothing sampled.")
        for check in checks:
            mark = "ok    " if check.holds else "FAILED"
            self._console.print(
                f"{mark} {check.claim}\n         {check.detail}", highlight=False, markup=False
            )

    def _heading(self, title: str, meaning: str) -> None:
        self._console.print(f"\n{title.upper()}\n{meaning}", highlight=False, markup=False)

    def _table(
        self,
        columns: Sequence[str],
        rows: Iterable[Sequence[object]],
        total: Sequence[object] | None = None,
    ) -> None:
        table = Table(box=box.ASCII2, show_edge=False, pad_edge=False, header_style="bold")
        body = [[shown(value) for value in row] for row in rows]
        raw_numbers = [
            bool(body) and all(_is_number(row[i]) for row in body) for i in range(len(columns))
        ]
        for column, number in zip(columns, raw_numbers, strict=True):
            table.add_column(column, justify="right" if number else "left", overflow="fold")
        for row in body:
            table.add_row(*row)
        if total is not None:
            table.add_section()
            table.add_row(*(shown(value) for value in total))
        self._console.print(table, highlight=False, markup=False)


def spread(seconds: Sequence[float]) -> tuple[float, float, float]:
    """Return median, 95th percentile (nearest rank) and maximum; zeros if there are no values."""
    ordered = sorted(seconds)
    if not ordered:
        return 0.0, 0.0, 0.0
    return (
        ordered[(len(ordered) - 1) // 2],
        ordered[-(-len(ordered) * 95 // 100) - 1],
        ordered[-1],
    )


def money(amount: object) -> str:
    """Format an amount with thousands separators and cents."""
    return f"{float(str(amount or 0)):,.2f}"


def shown(value: object) -> str:
    """Return a cell's text."""
    return f"{value:,}" if isinstance(value, int) else str(value)


def _is_number(text: str) -> bool:
    return bool(text) and text.replace(",", "").replace(".", "").removesuffix(" %").isdigit()
