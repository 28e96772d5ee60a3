"""What is sent to the gateway, before it is signed: the generator's side of the ledger."""

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

    `content` is a JSON value, the form fields of Twilio, or raw bytes that are sent as they are.
    `kept` are the ids under which its good events must be stored, `refused` the reasons of its bad
    ones; both are what the generator intended, not what the gateway said.
    """

    #: When the sender sends it, ms UTC. The order of all deliveries.
    at_ms: int
    source: Source
    content: Any
    kept: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    #: What stands behind the path of the hook, as configured at the provider.
    query: str = ""
    #: Only for `crm`: the content is a batch of CloudEvents.
    cloud_events: bool = False
    #: Sent before; nothing in it may count again.
    again: bool = False
    #: Signed with a wrong key: must be answered 401 and leave no trace.
    forged: bool = False
    #: How far the sender's clock is ahead, ms.
    clock_ahead_ms: int = 0
    #: HTTP status that the gateway must give, unless it asks to wait.
    status: int | None = None


def segment_batch(source: Source, calls: list[dict[str, Any]], at_ms: int) -> Delivery:
    """Calls of the Segment protocol as one batch; each is kept under its messageId."""
    return Delivery(at_ms, source, calls, kept=tuple(call["messageId"] for call in calls))


def chunks(items: Sequence[_T], size: int) -> Iterator[list[_T]]:
    """The items in order, at most `size` at a time."""
    for start in range(0, len(items), size):
        yield list(items[start : start + size])
