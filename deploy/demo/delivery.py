"""Requests to the gateway before they are signed: the generator's side of the ledger."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

_T = TypeVar("_T")
Source = Literal["shop", "shop-web", "newsletter", "support", "line", "crm"]

#: The connector of each source of the demo.
CONNECTORS: Mapping[Source, str] = {
    "shop": "segment",
    "shop-web": "segment",
    "newsletter": "sendgrid",
    "support": "twilio",
    "line": "line",
    "crm": "touchpoint",
}


@dataclass(frozen=True, slots=True)
class Delivery:
    """One HTTP request of a provider or an SDK.

    `content` is a JSON value, the form fields of Twilio, or raw bytes that are sent unchanged.
    `kept` are the ids under which its good events must be stored, `refused` the reasons of its bad
    ones; both are what the generator intended, not what the gateway answered.
    """

    #: Time of sending, ms UTC. All deliveries are ordered by it.
    at_ms: int
    source: Source
    content: Any
    kept: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    #: Query string of the hook's URL, as configured at the provider.
    query: str = ""
    #: Only for `crm`: the content is a batch of CloudEvents.
    cloud_events: bool = False
    #: Sent before; none of its events may count again.
    again: bool = False
    #: Signed with a wrong key: must be answered 401 and leave no trace.
    forged: bool = False
    #: Offset by which the sender's clock is ahead, ms.
    clock_ahead_ms: int = 0
    #: HTTP status that the gateway must answer, unless it asks the client to wait.
    status: int | None = None


def segment_batch(source: Source, calls: list[dict[str, Any]], at_ms: int) -> Delivery:
    """Return calls of the Segment protocol as one batch; each is stored under its messageId."""
    return Delivery(at_ms, source, calls, kept=tuple(call["messageId"] for call in calls))


def chunks(items: Sequence[_T], size: int) -> Iterator[list[_T]]:
    """Yield the items in order, at most `size` at a time."""
    for start in range(0, len(items), size):
        yield list(items[start : start + size])
