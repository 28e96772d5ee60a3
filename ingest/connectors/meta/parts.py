"""The splitting of objects with lists of events into one object for each event."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

#: Name of a list -> the lists that its objects may hold.
Lists = Mapping[str, "Lists"]


def singles(holder: dict[str, Any], lists: Lists) -> Iterator[dict[str, Any]]:
    """Yield an object once for each event in its lists; one without such lists as it is.

    Each copy has what stands beside the lists, and one list with one event. What should be a list
    and is none stays as it is, in a copy of its own, so that it is refused by itself.
    """
    named = [name for name in lists if holder.get(name) is not None]
    if not named:
        yield holder
        return
    head = {name: value for name, value in holder.items() if name not in lists}
    for name in named:
        events = holder[name]
        if not isinstance(events, list):
            yield {**head, name: events}
            continue
        for event in events:
            inner = singles(event, lists[name]) if isinstance(event, dict) else (event,)
            yield from ({**head, name: [one]} for one in inner)
