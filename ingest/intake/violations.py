"""The records of violations of tracking plans.

A row for each difference of each event, so that it can be counted by anything: by source, type and
field, by day, by release of the sender. The event itself, which may be large, is stored only now
and then as an example; for the others the id is enough to find them in `touchpoints`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ingest.publishing.port import Message
from schemas.topics import VIOLATIONS
from schemas.violation import Violations, violation_id, violation_row

#: Most bytes of an example that are stored.
MAX_EXAMPLE_BYTES = 16 * 1024
#: Seconds between two examples of one difference.
EXAMPLE_EVERY_S = 600.0
#: Most differences that are told apart for examples; names of fields are a sender's own.
_REMEMBERED = 10_000


class ViolationRecorder:
    """The maker of the records; it remembers which differences have an example already."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._until: dict[tuple[str, ...], float] = {}

    def messages(self, source: str, of: Violations, received_ms: int) -> Iterator[Message]:
        """Yield one record for each difference of an event."""
        for violation in of.found:
            key = violation_id(source, of.event_id, violation).encode()
            wanted = self._wants_example((source, of.type, violation.place, violation.rule))
            example = of.payload()[:MAX_EXAMPLE_BYTES] if wanted else b""
            row = violation_row(
                violation, of, source=source, received_ms=received_ms, example=example
            )
            yield Message(VIOLATIONS.name, key, row)

    def _wants_example(self, of: tuple[str, ...]) -> bool:
        now = self._monotonic()
        if now < self._until.get(of, now):
            return False
        self._until.pop(of, None)
        self._until[of] = now + EXAMPLE_EVERY_S
        if len(self._until) > _REMEMBERED:
            del self._until[next(iter(self._until))]
        return True
