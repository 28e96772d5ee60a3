"""Promises about what an event says: what helps, what is empty, what is undone, what names it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

import pytest

from ingest.connector import Result
from ingest.intake.accept import Accepted
from ingest.testing.mutations import another, fits, named, scalars, spread, without
from ingest.testing.promises.hooks import Hooks
from ingest.testing.values import accepted, at, places, put
from schemas.identifiers import IdentityPolicy
from schemas.touchpoint import Touchpoint

_TOLD = {"type", "consent", "url", "outcome", "occurred_at", "value"}
_NO_JSON = (math.nan, math.inf)
_NUMBERED = re.compile(r"(.+)\[(\d+)]")
#: A shorter value may stand in a derived id by chance.
_SHORTEST_ID = 4


class Meaning(Hooks):
    """Events say the same however the sender's language writes nothing, and nothing else."""

    def test_a_wrong_helper_field_costs_no_touch(self) -> None:
        if not self.optional:
            pytest.skip("the contract names no field that only helps")
        # A number that JSON does not know costs its event, wherever it stands.
        wrong = [one for one in self.wrong_values if one not in _NO_JSON]
        for name, value in self.payloads.items():
            kinds = [touch.type for touch in self.touches(value, name)]
            for path in named(value, self.optional):
                for changed in (without(value, path), *(put(value, path, one) for one in wrong)):
                    found = self.touches(changed, name)
                    assert [touch.type for touch in found] == kinds, (name, path, changed)
                    for touch in found:
                        assert isinstance(accepted(touch, self.region), Accepted), (name, path)

    def test_an_empty_list_in_place_of_an_object_is_an_empty_object(self) -> None:
        """PHP writes both so. Where an empty object is refused, the list may be, or not."""
        for name, value in self.payloads.items():
            for path in places(value):
                if not isinstance(at(value, path), dict) or isinstance(path[-1], int):
                    continue
                objects = self.parse(self.request(put(value, path, {}), name))
                listed = self.parse(self.request(put(value, path, []), name))
                if len(objects) == len(listed):
                    for one, other in zip(objects, listed, strict=True):
                        assert self._told(one) in (None, self._told(other)), (name, path)

    def test_an_empty_text_says_no_more_than_a_missing_field(self) -> None:
        for name, value, path, leaf in self.leaves():
            if not isinstance(leaf, str) or isinstance(path[-1], int):
                continue
            missing = self.touches(without(value, path), name)
            empty = self.touches(put(value, path, ""), name)
            # A sender's own form may refuse an empty text.
            if len(empty) == len(missing):
                assert list(map(self._told, empty)) == list(map(self._told, missing)), (name, path)

    def test_what_takes_something_back_is_nothing_new(self) -> None:
        if not self.undone:
            pytest.skip("the contract names no pair of payloads")
        for new, undone in self.undone:
            assert not self._types(new) & self._types(undone), (new, undone)

    def test_derived_ids_tell_apart_what_differs(self) -> None:
        derived = [
            (name, nameless, path, leaf)
            for name, value in self.payloads.items()
            for nameless in self._derived(value, name)
            for path, leaf in scalars(nameless)
            if not any(fits(path, pattern) for pattern in self.redelivery)
        ]
        for name, value, path, leaf in spread(derived, self.changes):
            before = self.touches(value, name)
            after = self.touches(put(value, path, another(leaf)), name)
            if len(after) == len(before):
                for one, other in zip(before, after, strict=True):
                    differ = self._told(one) != self._told(other)
                    assert not differ or self._names(one) != self._names(other), (name, path)

    def test_a_redelivery_keeps_its_id(self) -> None:
        if not self.redelivery:
            pytest.skip("the contract names no field that differs between deliveries")
        for name, value in self.payloads.items():
            ids = _event_ids(self.touches(value, name))
            for path in named(value, self.redelivery):
                again = put(value, path, another(at(value, path)))
                assert _event_ids(self.touches(again, name)) == ids, (name, path)

    def _names(self, touch: Touchpoint) -> object:
        """Return what names an event of a source: its id and its lead identifier."""
        verdict = accepted(touch, self.region)
        lead = json.loads(verdict.value)["lead_id"] if isinstance(verdict, Accepted) else None
        return touch.event_id, lead

    def _told(self, result: Result) -> dict[str, Any] | None:
        """Return what a touchpoint says of its event; None of a rejection."""
        if not isinstance(result, Touchpoint):
            return None
        told = {name: told for name, told in result.model_dump(include=_TOLD).items() if told}
        pairs = [(one.kind, one.value) for one in result.identifiers]
        return {**told, "identifiers": IdentityPolicy().normalize_all(pairs, self.region)}

    def _types(self, numbered: str) -> set[str]:
        found = _NUMBERED.fullmatch(numbered)
        name = found[1] if found else numbered
        touches = self.touches(self.payloads[name], name)
        return {touch.type for touch in ([touches[int(found[2])]] if found else touches)}

    def _derived(self, value: Any, name: str) -> Iterator[Any]:
        """Yield a payload without the ids that name its events, if it still gives touches."""
        around = self._around(value, name)
        for _ in range(3):
            ids = _event_ids(self.touches(value, name))
            if any(_occurs(text, ids) for text in around):
                return
            given = [path for path, leaf in scalars(value) if _occurs(leaf, ids)]
            given += named(value, self.ids)
            if ids and not given:
                yield value
                return
            for path in sorted(given, key=repr, reverse=True):
                value = without(value, path)

    def _around(self, value: Any, name: str) -> list[Any]:
        """Return what a request says beside its payload: in headers, and in an envelope."""
        request = self.request(value, name)
        inside = {leaf for _, leaf in scalars(value)}
        envelope = [leaf for _, leaf in scalars(request.json) if leaf not in inside]
        return [*request.headers.values(), *envelope]


def _event_ids(touches: list[Touchpoint]) -> list[str]:
    return [touch.event_id for touch in touches]


def _occurs(leaf: Any, ids: list[str]) -> bool:
    text = str(leaf)
    return text in ids or (len(text) >= _SHORTEST_ID and any(text in one for one in ids))
