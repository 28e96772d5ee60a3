"""Splitting an identifier from the rest of its person, and lifting such a split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from deploy.operations.identity.log import IdentityLog, Link
from schemas.errors import TouchlineError
from schemas.identifiers import Identifier, IdentityPolicy
from schemas.messages import SplitCommand
from sinks.clickhouse.epochs import Epochs

_MOST_LINKS = 2_000


class SplitError(TouchlineError):
    """A split was not made, or is not visible yet; the message is one line and says what to do."""


class Commands(Protocol):
    """The connection of a split to the running system."""

    def send(self, commands: Sequence[SplitCommand]) -> None:
        """Send commands to the graph, in their order; return once Kafka has them.

        Raises `ingest.publishing.port.NotAcknowledged`; some commands may have arrived then.
        """

    def settle(self) -> bool:
        """Wait until all results of the sent commands are in ClickHouse; False on timeout."""


class Order(NamedTuple):
    """The common fields of all commands of one split. `at_ms` is the time of the command."""

    split_id: str
    at_ms: int
    lift: bool = False
    note: str = ""

    def command(self, one: Identifier, lead: Identifier | None, source: str) -> SplitCommand:
        """Return the command about an identifier or, with a lead, about one link."""
        return SplitCommand(
            self.split_id,
            self.lift,
            self.at_ms,
            one.kind,
            one.value,
            *(lead or ("", "")),
            source=source,
            note=self.note,
        )


@dataclass(frozen=True, slots=True)
class SplitPlan:
    """The links that a split of one identifier would undo, or a lift would open again."""

    identifier: Identifier
    lift: bool
    links: list[Link]
    #: Profiles before the split: of the identifier and of everybody whom it concerns.
    profiles: dict[Identifier, str]


@dataclass(frozen=True, slots=True)
class SplitResult:
    """The result of a split or lift of one identifier."""

    split_id: str
    links: list[Link]
    #: Identifier -> its new profile, for those whose profile changed.
    moved: dict[Identifier, str]


def plan(
    log: IdentityLog, policy: IdentityPolicy, identifier: Identifier, *, lift: bool
) -> SplitPlan | None:
    """Return the plan of a split or lift; None if the identifier was never seen.

    Raises SplitError if there is nothing to split or to lift.
    """
    profile_id = log.profiles([identifier]).get(identifier)
    if profile_id is None:
        return None
    members = set(log.members(profile_id))
    rest = set(policy.split_from(identifier, members))
    if lift:
        rows = log.splits([identifier], _MOST_LINKS)
        if not any(_is_of(row, identifier) for row in rows):
            raise SplitError(f"no split of this {identifier.kind} stands")
    elif not rest:
        raise SplitError(f"this {identifier.kind} is alone: there is nothing to split it from")
    state = "voided" if lift else "holds"
    links = [
        link
        for link in log.links([identifier], _MOST_LINKS)
        if link.state == state and (lift or link.opposite(identifier) in rest)
    ]
    about = {identifier, *members, *(link.opposite(identifier) for link in links)}
    return SplitPlan(identifier, lift, links, log.profiles(about))


def split(log: IdentityLog, commands: Commands, what: SplitPlan, order: Order) -> SplitResult:
    """Send the command and wait until the views show its result.

    Raises SplitError on timeout, and `ingest.publishing.port.NotAcknowledged`.
    """
    commands.send([order.command(what.identifier, None, "")])
    wait_until_seen(log, commands, order, 1)
    now = log.profiles(what.profiles)
    moved = {
        one: now[one] for one, before in what.profiles.items() if now.get(one, before) != before
    }
    return SplitResult(order.split_id, log.undone_by(order.split_id, _MOST_LINKS), moved)


def refuse_during_switch(epochs: Epochs, present: int) -> None:
    """Raise SplitError while the views do not show the present epoch.

    While another epoch is built beside the present one splits are allowed: the rebuild copies them.
    """
    shown = epochs.shown()
    if shown is None or shown.number != present:
        raise SplitError("a rebuild is about to be shown; split after it is")


def wait_until_seen(log: IdentityLog, commands: Commands, order: Order, sent: int) -> None:
    """Wait until the views show the results of all commands; raise SplitError on timeout."""
    settled = commands.settle()
    seen = log.command_result(order.split_id).commands
    if not settled or seen < sent:
        raise SplitError(
            f"sent under the id {order.split_id}, but of {sent} commands the views show {seen} "
            "yet, or not all that follows; it will take effect: see that worker and sink run "
            "(touchline_lag_records), then look with touchline identity explain"
        )


def _is_of(row: dict[str, Any], identifier: Identifier) -> bool:
    """Return True if a row is a standing split of an identifier, not of one link."""
    return row["stands"] and not row["lead_kind"] and (row["kind"], row["value"]) == identifier
