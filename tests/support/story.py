"""A story of identity: what comes in, step by step, and who everybody is then."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from schemas.identifiers import Identifier, IdentityPolicy
from schemas.messages import SplitCommand
from schemas.touchpoint import Touchpoint
from schemas.touchpoint_row import TouchpointRow
from tests.support import touches
from tests.support.pipeline import Pipeline, accepted

Columns = Mapping[str, Any]


@dataclass(frozen=True)
class Seen:
    """A touch: who it names ("kind:value" each), from which source; `fields` are the touch's."""

    who: tuple[str, ...]
    source: str = "web"
    fields: Columns = field(default_factory=dict)

    def touchpoint(self, event_id: str) -> Touchpoint:
        """The touch as its source states it."""
        make = touches.order if "amount" in self.fields else touches.touch
        return make(event_id, *(one.split(":", 1) for one in self.who), **self.fields)


@dataclass(frozen=True)
class Command:
    """An operator's split or lift of an identifier, or with `lead` of one link."""

    what: str
    lead: str = ""
    source: str = ""
    lift: bool = False

    def message(self, split_id: str, at_ms: int) -> SplitCommand:
        """Return the command that the operator's command line sends."""
        lead = identifier(self.lead) if self.lead else ("", "")
        return SplitCommand(split_id, self.lift, at_ms, *identifier(self.what), *lead, self.source)

    def give(self, pipeline: Pipeline) -> None:
        """Append it to the log of links."""
        lead = identifier(self.lead) if self.lead else ("", "")
        pipeline.split(*identifier(self.what), lead=lead, source=self.source, lift=self.lift)


Step = Seen | Command
#: Touches with their sources, and commands, as they are sent.
Phase = list[tuple[str, Touchpoint] | Command]


@dataclass(frozen=True)
class Story:
    """Phases, one after the other; the steps of a phase may come in any order.

    `people`: values of the identifiers of one profile, in any order -> its number of touches, or
    columns of its row. `conflicts`: "reason value" of each refusal.
    """

    name: str
    tells: str
    phases: Sequence[Sequence[Step]]
    people: Mapping[str, int | Columns]
    conflicts: Sequence[str] = ()
    policy: IdentityPolicy = field(default_factory=IdentityPolicy)
    untrusted: tuple[str, ...] = ()

    def told_of(self, number: int) -> Story:
        """The same story of other people: so many can be told at once."""

        def other(one: str) -> str:
            kind, value = one.split(":", 1)
            return f"{kind}:{_other(kind, value, number, self.policy)}"

        def step(one: Step) -> Step:
            if isinstance(one, Seen):
                return replace(one, who=tuple(other(w) for w in one.who))
            lead = other(one.lead) if one.lead else ""
            return replace(one, what=other(one.what), lead=lead)

        return replace(self, phases=[[step(one) for one in phase] for phase in self.phases])

    def touches(self, prefix: str = "") -> list[Phase]:
        """The phases, each touch with its source; event ids begin with the prefix."""
        return [
            [
                step
                if isinstance(step, Command)
                else (step.source, step.touchpoint(f"{prefix}{at}-{number}"))
                for number, step in enumerate(phase)
            ]
            for at, phase in enumerate(self.phases)
        ]

    def rows(self) -> list[list[TouchpointRow | Command]]:
        """The phases with their touches as the gateway accepts them."""
        return [
            [
                step if isinstance(step, Command) else accepted(step[1], step[0], self.policy)
                for step in phase
            ]
            for phase in self.touches()
        ]


def identifier(text: str) -> Identifier:
    """The identifier of "kind:value" in normal form, in Japan."""
    kind, value = text.split(":", 1)
    found = IdentityPolicy().normalize(kind, value, "JP")
    assert found is not None, text
    return found


def _other(kind: str, value: str, number: int, policy: IdentityPolicy) -> str:
    if policy.is_blocked(value):
        return value
    if kind == "phone":
        # Every number of the stories has 1234 in it, in digits of some width.
        plain, wide = f"{1000 + number}", str.maketrans("0123456789", "０１２３４５６７８９")
        return value.replace("1234", plain).replace("１２３４", plain.translate(wide))
    return f"n{number}.{value}"


def seen(*who: str, source: str = "web", **fields: Any) -> Seen:
    """A touch."""
    return Seen(who, source, fields)


def split(what: str, *, lead: str = "", source: str = "") -> Command:
    """An operator's split."""
    return Command(what, lead, source)


def lift(what: str, *, lead: str = "") -> Command:
    """An operator's lift."""
    return Command(what, lead, lift=True)


def each(steps: Iterable[Step]) -> list[list[Step]]:
    """Steps that come one after the other, each when the one before is done."""
    return [[one] for one in steps]
