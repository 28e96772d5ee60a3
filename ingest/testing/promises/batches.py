"""Promises about several events in one body."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ingest.connector import original
from ingest.intake.accept import Accepted
from ingest.testing.mutations import Path, broken_events, lists, named, spread
from ingest.testing.promises.hooks import Hooks
from ingest.testing.values import at, put, with_field


class Batches(Hooks):
    """Events that come together are read one by one."""

    def event_lists(self, value: Any, name: str) -> Iterator[Path]:
        """Yield the places of the lists whose items are events.

        One more is one more touch, and of each touch something else is kept.
        """
        if self.events:
            yield from named(value, (self.events,))
            return
        before = self._kept(value, name)
        for path in lists(value):
            items = at(value, path)
            if isinstance(items[0], dict):
                more = self._kept(put(value, path, [*items, with_field(items[0])]), name)
                if len(more) > len(before) and len(set(more)) > len(set(before)):
                    yield path

    def _kept(self, value: Any, name: str) -> list[bytes]:
        return [original(touch) for touch in self.touches(value, name)]

    def test_one_bad_event_costs_itself_alone(self) -> None:
        batches = list(self._batches())
        if not batches:
            pytest.skip("the provider sends one event in a body")
        for name, others, batch, content in spread(batches, self.changes):
            request = self.with_bytes(batch, name, content) if content else None
            found = self.verdicts(request or self.request(batch, name))
            for one in others:
                assert one in found, (name, batch, content)

    def _batches(self) -> Iterator[tuple[str, list[Accepted], Any, bytes]]:
        """Yield batches with a bad event: the payload's name, the results for the others, the body.

        The bytes are for `with_bytes`.
        """
        for name, value in self.payloads.items():
            good = self._accepted(value, name)
            for path in self.event_lists(value, name):
                first, *rest = at(value, path)
                # Beside others an event may be named otherwise, as the first of several.
                beside = self._accepted(put(value, path, rest or [first, with_field(first)]), name)
                others = [one for one in good if one in beside]
                for bad, content in broken_events(first):
                    batch = [bad, *rest] if rest else [first, bad]
                    yield name, others, put(value, path, batch), content

    def _accepted(self, value: Any, name: str) -> list[Accepted]:
        verdicts = self.verdicts(self.request(value, name))
        return [one for one in verdicts if isinstance(one, Accepted)]
