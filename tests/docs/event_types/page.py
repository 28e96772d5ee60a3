"""The text of docs/channels/event_types.md: `python -m tests.docs.event_types.page` prints it."""

from __future__ import annotations

from typing import NamedTuple

from ingest.connector import Context, Request, original
from ingest.intake.accept import Accepted, SourcePolicy, accept
from ingest.testing.values import RECEIVED_MS
from schemas.rejection import Rejection
from schemas.touchpoint import Touchpoint
from tests.docs.event_types.samples import PROVIDERS, Provider, events, types_of

_HEAD = " ".join(
    """# Event types

What becomes of each type of event that a provider documents, as the connectors themselves say of
a small event of that type. An own type is made of the provider's name, such as
`stripe_credit_note_created`: the touch is kept, and stands in no metric of its own. A type that is
refused because it names no customer is kept with the rejected events; better do not subscribe to
it. Details are on each provider's page. Those without a published list of types (Meta, X's
Account Activity API, Snowplow, mailbox, files) have theirs there.

The page is made by `python -m tests.docs.event_types.page`; a test compares it with the connectors
and with the lists of the providers' own libraries.
""".replace("\n\n", "\0").split("\n")
).replace("\0", "\n\n")
_OWN = "own type"


def text() -> str:
    """Return the whole page."""
    return "\n".join((_HEAD.rstrip() + "\n", *(_section(name) for name in PROVIDERS)))


class Row(NamedTuple):
    """One row of a table: the types of a provider that become the same."""

    becomes: str
    direction: str
    kinds: list[str]


def rows(name: str) -> list[Row]:
    """Return the rows of a provider: our types first, then its own, then what is refused."""
    kinds: dict[tuple[str, str], list[str]] = {}
    for kind, request in events(name):
        kinds.setdefault(_outcome(name, PROVIDERS[name], request), []).append(kind)
    return sorted((Row(*key, found) for key, found in kinds.items()), key=_order)


def _order(row: Row) -> tuple[int, str, str]:
    rank = 2 if row.becomes.startswith("refused") else 1 if row.becomes.startswith(_OWN) else 0
    return rank, row.becomes, row.direction


def _section(name: str) -> str:
    source, types = types_of(name)
    lines = [
        f"## {PROVIDERS[name].title}\n",
        f"{len(types)} types of {source}. See [{name}]({name}.md).\n",
        "| becomes | direction | provider's types |",
        "| --- | --- | --- |",
    ]
    for row in rows(name):
        listed = ", ".join(f"`{kind}`" for kind in row.kinds)
        lines.append(f"| {row.becomes} | {row.direction} | {listed} |")
    return "\n".join(lines) + "\n"


def _outcome(name: str, provider: Provider, request: Request) -> tuple[str, str]:
    connector = provider.contract.make(provider.contract.secrets[0])
    found = list(connector.parse(request, Context("source", RECEIVED_MS)))
    if not found:
        return "nothing", ""
    result = found[0]
    if isinstance(result, Touchpoint):
        verdict = accept(result, SourcePolicy("source", region="JP"), RECEIVED_MS, original(result))
        if isinstance(verdict, Accepted):
            return _touch(name, result), result.direction
        result = verdict
    return f"refused: {_reason(result)}", ""


def _touch(name: str, touch: Touchpoint) -> str:
    kind = f"`{touch.type}`" if not touch.type.startswith(f"{name}_") else _OWN
    decisions = [f"{purpose} {'yes' if is_ else 'no'}" for purpose, is_ in touch.consent.items()]
    return f"{kind}, consent: {', '.join(decisions)}" if decisions else kind


_REASONS = {
    "no_identifier": "names no customer",
    "unsupported": "not a touch of a customer (unsupported)",
}


def _reason(rejection: Rejection) -> str:
    return _REASONS.get(rejection.reason, f"{rejection.reason} ({rejection.detail})")


if __name__ == "__main__":
    print(text(), end="")
