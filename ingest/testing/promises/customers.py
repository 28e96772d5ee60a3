"""Promises about who the customer is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from ingest.connector import Request
from ingest.intake.accept import Accepted
from ingest.testing.mutations import (
    IMPOSSIBLE,
    ONE_ADDRESS,
    ONE_NUMBER,
    STAND_IN,
    Path,
    another,
    digits,
    rewritten,
    scalars,
)
from ingest.testing.promises.hooks import Hooks
from ingest.testing.values import at, places, put, written_otherwise
from schemas.identifiers import IdentityPolicy

#: Fewest digits of a text that may be a phone number.
_SHORTEST_NUMBER = 8
_REPLACED = "\ufffd"


class Customers(Hooks):
    """The customer is one person however written, and never the company."""

    def test_own_accounts_never_become_customers(self) -> None:
        if not self.own:
            pytest.skip("the contract names no account of the company in its payloads")
        own = set(IdentityPolicy().normalize_all(self.own, self.region))
        for name, value in self.payloads.items():
            assert not own & self._published(value, name), name
            if not self.roles:
                for path, changed in self._taken_over(value, name):
                    assert not own & self._published(changed, name), (name, path)

    def _taken_over(self, value: Any, name: str) -> Iterator[tuple[Path, Any]]:
        """Yield a payload with an own account, which stands in it too, in the customer's place."""
        written = {leaf: path for path, leaf in scalars(value) if isinstance(leaf, str)}
        known = self.known(value, name)
        for path, leaf in scalars(value):
            for kind, account in self.own:
                if written.get(account, path) != path and (leaf, kind) in known:
                    yield path, put(value, path, account)

    def test_the_customer_is_the_same_however_an_identifier_is_written(self) -> None:
        for name, value in self.payloads.items():
            people = self.people(self.request(value, name))
            known = self.known(value, name)
            for path in places(value):
                for other in written_otherwise(at(value, path), known):
                    changed = self.request(put(value, path, other), name)
                    assert self.people(changed) == people, (name, path, other)
            for path, one, other in self._two_writings(value, name, known):
                if not self.people(self.request(put(value, path, another(at(value, path))), name)):
                    continue  # Another customer here contradicts the rest of the event.
                first = self.people(self.request(put(value, path, one), name))
                assert first, (name, path, one)
                assert self.people(self.request(put(value, path, other), name)) == first, (
                    name,
                    path,
                    one,
                    other,
                )

    def test_a_number_that_cannot_exist_is_no_identifier(self) -> None:
        for name, value in self.payloads.items():
            before = self._published(value, name)
            for path, leaf, _ in self._numbers(value, name):
                for number in IMPOSSIBLE:
                    found = self._published(put(value, path, rewritten(leaf, number)), name)
                    new = [phone for kind, phone in found - before if kind == "phone"]
                    assert not new, (name, path, number)

    def test_half_of_an_emoji_in_an_id_makes_no_two_people_one(self) -> None:
        whole = {name: self._names_published(request) for name, request in self.requests().items()}
        for name, value, path, leaf in self.leaves():
            half = json.dumps(f"{leaf}\ud83d").encode()
            request = self.with_bytes(put(value, path, STAND_IN), name, half)
            if request is None or not isinstance(leaf, str):
                continue
            ids, found = whole[name], self._names_published(request)
            assert not any(_REPLACED in text for texts in found for text in texts), (name, path)
            if self._names_published(self.request(put(value, path, f"{leaf}é"), name)) == ids:
                assert len(found) == len(ids), (name, path)

    def _names_published(self, request: Request) -> list[tuple[str, ...]]:
        """Return the ids and identifiers of the events of a request that are accepted."""
        rows = [
            json.loads(verdict.value)
            for verdict in self.verdicts(request)
            if isinstance(verdict, Accepted)
        ]
        return [
            (row["event_id"], *(one for ones in row["identifiers"].values() for one in ones))
            for row in rows
        ]

    def _published(self, value: Any, name: str) -> set[tuple[str, str]]:
        people = self.people(self.request(value, name))
        return {(kind, one) for person in people for kind, ones in person.items() for one in ones}

    def _numbers(self, value: Any, name: str) -> Iterator[tuple[Path, Any, bool]]:
        """Yield the places of phone numbers, with what they hold; True: with the country's code."""
        published = {digits(one) for kind, one in self._published(value, name) if kind == "phone"}
        local = {one for one, kind in self.known(value, name) if kind == "phone"}
        for path, leaf in scalars(value):
            found = digits(leaf)
            if len(found) >= _SHORTEST_NUMBER and (found in published or leaf in local):
                yield path, leaf, found in published

    def _two_writings(
        self, value: Any, name: str, known: set[tuple[str, str]]
    ) -> Iterator[tuple[Path, str, str]]:
        """Yield the places of addresses and numbers, with one of each, written in two ways."""
        for path, leaf in scalars(value):
            if (leaf, "email") in known:
                yield path, *ONE_ADDRESS
        for path, leaf, with_code in self._numbers(value, name):
            plus = "" if with_code and "+" not in str(leaf) else "+"
            for one, other in ONE_NUMBER:
                yield path, rewritten(leaf, plus + one), rewritten(leaf, plus + other)
