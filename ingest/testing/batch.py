"""The promises that every batch connector keeps, as tests: subclass it and fill in the hooks.

    class MyContract(BatchConnectorSuite):
        name = "mine"
        contents = {"visits": b"..."}
        broken = {"one bad row": (b"...", 1)}

        def make(self, content, folder): ...

`contents` are what the connector reads (a file, a mailbox); all of their touches are valid.
A connector of files has a suite of its own, which writes them:

    class MyContract(FileConnectorSuite):
        name = "mine"
        contents = contents(Path(__file__).parent / "payloads")

        def connector(self): ...
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ingest.connector import (
    INTERFACE_VERSION,
    BatchConnector,
    Context,
    FileProblem,
    Options,
    Position,
    Result,
)
from ingest.files.identity import identify
from ingest.intake.accept import Accepted
from ingest.registry import Registry
from ingest.testing.values import (
    RECEIVED_MS,
    RELAXED,
    accepted,
    check_results,
    damaged,
    per_second,
)
from schemas.identifiers import IdentityPolicy
from schemas.rejection import Rejection
from schemas.touchpoint import Touchpoint


class BatchConnectorSuite:
    """The hooks, then the promises, whose names `touchline connectors test` shows."""

    #: Name of the connector's entry point.
    name: ClassVar[str]
    contents: ClassVar[dict[str, bytes]]
    #: Contents with bad rows, and how many: those are refused, the others read.
    broken: ClassVar[dict[str, tuple[bytes, int]]] = {}
    #: Secrets that `make` gives its source, for instance a password.
    secrets: ClassVar[tuple[str, ...]] = ()
    #: Exceptions of `read` for a content that cannot be read; what it yielded before stays.
    unreadable: ClassVar[tuple[type[Exception], ...]] = ()
    #: ISO 3166 region of phone numbers in `contents` that name no country.
    region: ClassVar[str | None] = None
    #: The company's own accounts in `contents`, as (kind, value): no touch has one.
    own: ClassVar[tuple[tuple[str, str], ...]] = ()

    def make(self, content: bytes, folder: Path) -> BatchConnector:
        """Return a connector that reads this content.

        `folder`: where a file may be written, the same and under the same name for each content.
        The connector is read to its end before the next one is made.
        """
        raise NotImplementedError

    def context(self, content: bytes, folder: Path) -> Context:
        """Return the context that the connector gets."""
        return Context("source", RECEIVED_MS)

    # Helpers

    def batches(
        self, content: bytes, folder: Path, cursor: str | None = None
    ) -> list[tuple[list[Result], Position]]:
        """Return what a new connector reads from a cursor on."""
        connector = self.make(content, folder)
        found: list[tuple[list[Result], Position]] = []
        with suppress(*self.unreadable):
            for results, position in connector.read(cursor, self.context(content, folder)):
                found.append((list(results), position))
        return found

    def results(self, content: bytes, folder: Path, cursor: str | None = None) -> list[Result]:
        """Return the same without positions."""
        return [result for found, _ in self.batches(content, folder, cursor) for result in found]

    # The interface

    def test_is_found_by_its_entry_point(self, tmp_path: Path) -> None:
        connector = self.make(next(iter(self.contents.values())), tmp_path)
        assert Registry().load(self.name) is type(connector)
        assert connector.name == self.name
        assert connector.interface == INTERFACE_VERSION
        assert connector.doc
        assert "\n" not in connector.doc
        assert issubclass(connector.options, Options)

    def test_refuses_options_that_it_does_not_know(self, tmp_path: Path) -> None:
        connector = self.make(next(iter(self.contents.values())), tmp_path)
        with pytest.raises(ValidationError, match="an_option_of_tomorrow"):
            connector.options.model_validate({"an_option_of_tomorrow": 1})

    # What comes out

    def test_every_content_becomes_touchpoints_that_are_accepted(self, tmp_path: Path) -> None:
        for name, content in self.contents.items():
            results = self.results(content, tmp_path)
            assert results, name
            for result in results:
                assert isinstance(result, Touchpoint), (name, result)
                verdict = accepted(result, self.region)
                assert isinstance(verdict, Accepted), (name, verdict)

    def test_own_accounts_never_become_customers(self, tmp_path: Path) -> None:
        if not self.own:
            pytest.skip("the contract names no account of the company in its contents")
        policy = IdentityPolicy()
        own = set(policy.normalize_all(self.own, self.region))
        for name, content in self.contents.items():
            for result in self.results(content, tmp_path):
                assert isinstance(result, Touchpoint), (name, result)
                pairs = [(one.kind, one.value) for one in result.identifiers]
                assert not own & set(policy.normalize_all(pairs, self.region)), name

    def test_event_ids_are_distinct_within_a_content(self, tmp_path: Path) -> None:
        for name, content in self.contents.items():
            ids = [
                result.event_id
                for result in self.results(content, tmp_path)
                if isinstance(result, Touchpoint)
            ]
            assert len(set(ids)) == len(ids), name

    def test_the_same_content_twice_gives_the_same_events(self, tmp_path: Path) -> None:
        for content in self.contents.values():
            assert self.batches(content, tmp_path) == self.batches(content, tmp_path)

    # The cursor

    def test_from_each_cursor_on_it_reads_the_rest(self, tmp_path: Path) -> None:
        both = [*self.contents.values(), *(content for content, _ in self.broken.values())]
        for content in both:
            batches = self.batches(content, tmp_path)
            for done, (_, position) in enumerate(batches, 1):
                rest = [result for results, _ in batches[done:] for result in results]
                assert self.results(content, tmp_path, position.cursor) == rest

    def test_a_cursor_is_text_that_shows_no_secret(self, tmp_path: Path) -> None:
        for content in self.contents.values():
            for _, position in self.batches(content, tmp_path):
                assert position.cursor.isprintable()
                assert not any(secret in position.cursor for secret in self.secrets)

    def test_progress_grows_from_0_to_1(self, tmp_path: Path) -> None:
        for content in self.contents.values():
            known = [
                position.progress
                for _, position in self.batches(content, tmp_path)
                if position.progress is not None
            ]
            assert known == sorted(known)
            assert all(0 <= progress <= 1 for progress in known)

    # Bad data

    def test_a_bad_row_is_refused_and_costs_no_other(self, tmp_path: Path) -> None:
        for name, (content, bad) in self.broken.items():
            results = self.results(content, tmp_path)
            refused = [result for result in results if isinstance(result, Rejection)]
            assert len(refused) == bad, (name, refused)
            assert all(rejection.payload for rejection in refused), name
            check_results(results)

    def test_damaged_content_is_refused_or_read_never_an_exception(self, tmp_path: Path) -> None:
        for content in self.contents.values():
            for changed in damaged(content):
                check_results(self.results(changed, tmp_path))

    def test_shows_no_secret(self, tmp_path: Path) -> None:
        for content in self.contents.values():
            connector = self.make(content, tmp_path)
            shown = [repr(connector), str(connector), repr(vars(connector).get("_options"))]
            for changed in (content, content[:-1]):
                shown += [str(result) for result in self.results(changed, tmp_path)]
            for secret in self.secrets:
                assert not any(secret in text for text in shown)

    @RELAXED
    @given(content=st.binary(max_size=200))
    def test_any_bytes_give_results(self, tmp_path: Path, content: bytes) -> None:
        self._fuzz(content, tmp_path)

    @RELAXED
    @given(data=st.data())
    def test_any_change_of_a_content_gives_results(
        self, tmp_path: Path, data: st.DataObject
    ) -> None:
        content = self.contents[data.draw(st.sampled_from(sorted(self.contents)))]
        place = data.draw(st.integers(0, len(content)))
        length = data.draw(st.integers(0, 20))
        new = data.draw(st.binary(max_size=20))
        self._fuzz(content[:place] + new + content[place + length :], tmp_path)

    def _fuzz(self, content: bytes, folder: Path) -> None:
        found = self.batches(content, folder)
        for results, _ in found:
            check_results(results)
        assert self.batches(content, folder) == found

    # Speed

    def test_throughput(
        self, tmp_path: Path, record_property: Callable[[str, object], None]
    ) -> None:
        """Measure and show the throughput; no throughput fails the test."""
        content = max(self.contents.values(), key=len)
        record_property(
            "events_per_second", per_second(lambda: len(self.results(content, tmp_path)))
        )


class FileConnectorSuite(BatchConnectorSuite):
    """A suite for connectors that `touchline import` gives a file: one hook, the same promises."""

    #: Name of the file, whatever its content.
    file: ClassVar[str] = "file"
    unreadable: ClassVar[tuple[type[Exception], ...]] = (FileProblem,)

    def connector(self) -> BatchConnector:
        """Return a connector whose source has the options that the contents are written for."""
        raise NotImplementedError

    def make(self, content: bytes, folder: Path) -> BatchConnector:
        (folder / self.file).write_bytes(content)
        return self.connector()

    def context(self, content: bytes, folder: Path) -> Context:
        file, _ = identify(folder / self.file, ())
        return Context("source", RECEIVED_MS, file=file)
