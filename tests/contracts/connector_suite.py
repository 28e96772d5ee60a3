"""What every webhook connector promises, as tests: subclass `ConnectorSuite` and fill in the hooks.

    class TestMine(ConnectorSuite):
        payloads = load(Path(__file__).parent / "payloads" / "mine")

        def make(self, *secrets): ...
        def signed(self, body, secret, name=""): ...

`payloads` are request bodies as the provider documents them, each of touches that all are valid.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ingest.accept import Accepted, SourcePolicy, accept
from ingest.connector import (
    INTERFACE_VERSION,
    Context,
    Options,
    Request,
    Result,
    WebhookConnector,
    original,
)
from ingest.kept import Kept, Origins
from ingest.registry import Registry
from schemas.rejection import Rejection
from schemas.touchpoint import Touchpoint

#: Receipt of all fixtures; their times are shortly before.
RECEIVED_MS = 1_795_161_600_000
URL = "https://touch.example.com"
#: Put into a body in place of a value: it must not come back in a detail.
MARK = "Zq9-not-to-be-repeated"
DEEP: Any = MARK
for _ in range(100):
    DEEP = [DEEP]
WRONG: tuple[Any, ...] = (
    None, True, -1, 0.5, 10**30, "", MARK, "\0" + MARK, [], [MARK], {}, {"a": MARK}, DEEP,
)  # fmt: skip
UNREADABLE = {
    "nothing": b"",
    "blank": b"  \r\n",
    "cut off": b'{"a": [1, 2',
    "not UTF-8": b'{"a": "\xff\xfe"}',
    "binary": bytes(range(256)),
    "NUL": b"\0",
    "too deep": b"[" * 10_000 + b"]" * 10_000,
    "too deep and open": b'{"a":' * 100_000,
    "a number": b"5",
    "text": b'"text"',
    "null": b"null",
    "not a number": b'{"a": NaN}',
    "out of range": b'{"a": 1e999}',
    "5,000 digits": b'{"a": ' + b"9" * 5000 + b"}",
}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4)
    ),
    max_leaves=12,
)
RELAXED = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.differing_executors, HealthCheck.too_slow],
)


def load(folder: Path) -> dict[str, Any]:
    """The payloads of a folder: name without ending -> JSON."""
    return {
        path.stem: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(folder.glob("*.json"))
    }


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all values inside a JSON value."""
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, inner in items:
        yield (*path, key)
        yield from places(inner, (*path, key))


def put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """A copy of a JSON value with another value at a path."""
    changed = copy.deepcopy(value)
    at = changed
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = new
    return changed


def reversed_keys(value: Any) -> Any:
    """The same JSON with the keys of all objects in the opposite order."""
    if isinstance(value, dict):
        return {key: reversed_keys(inner) for key, inner in reversed(value.items())}
    return [reversed_keys(inner) for inner in value] if isinstance(value, list) else value


class ConnectorSuite:
    """Hooks first, then the tests."""

    #: Name of the connector's entry point.
    name: ClassVar[str]
    payloads: ClassVar[dict[str, Any]]
    #: Names of secrets: of the source, its second one, and one of somebody else.
    secrets: ClassVar[tuple[str, str, str]] = (
        "first-secret-5Xw",
        "second-secret-8Lq",
        "foreign-3Tz",
    )
    #: Whether the signature covers all of the body, or only parts, or a key is all there is.
    signs_body: ClassVar[bool] = True

    def make(self, *secrets: str) -> WebhookConnector:
        """A connector whose source has these secrets."""
        raise NotImplementedError

    def signed(self, body: bytes, secret: str, name: str = "") -> Request:
        """The request that the provider makes of a body. `name`: of the payload, if it is one."""
        raise NotImplementedError

    def unsigned(self, request: Request) -> Iterator[Request]:
        """The request without its signature, in each way in which it may be missing."""
        for headers in ({}, {"content-type": request.headers.get("content-type", "")}):
            yield request._replace(headers=headers)

    def encode(self, value: Any) -> bytes:
        """The body of a payload."""
        return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")

    def with_extra(self, value: Any) -> Any:
        """A payload with a field that the connector does not know."""
        if isinstance(value, list):
            return [self.with_extra(inner) for inner in value]
        return {**value, "aFieldOfTomorrow": {"x": [1]}} if isinstance(value, dict) else value

    # Helpers

    def request(self, value: Any, name: str = "") -> Request:
        return self.signed(self.encode(value), self.secrets[0], name)

    def parse(self, request: Request, **context: Any) -> list[Result]:
        connector = self.make(self.secrets[0])
        return list(connector.parse(request, Context("source", RECEIVED_MS, **context)))

    def requests(self) -> dict[str, Request]:
        return {name: self.request(value, name) for name, value in self.payloads.items()}

    # The interface

    def test_is_found_by_its_entry_point(self):
        connector = self.make(self.secrets[0])
        assert Registry().load(self.name) is type(connector)
        assert connector.name == self.name
        assert connector.interface == INTERFACE_VERSION
        assert connector.doc
        assert "\n" not in connector.doc
        assert issubclass(connector.options, Options)

    def test_refuses_options_that_it_does_not_know(self):
        with pytest.raises(ValidationError):
            self.make(self.secrets[0]).options.model_validate({"an_option_of_tomorrow": 1})

    def test_refuses_an_empty_secret(self):
        for empty in ((), ("",), ("", self.secrets[0])):
            with pytest.raises(ValidationError):
                self.make(*empty)

    # The signature

    def test_a_signed_request_passes(self):
        connector = self.make(self.secrets[0])
        for name, request in self.requests().items():
            assert connector.verify(request, RECEIVED_MS), name

    def test_each_of_two_secrets_is_valid_during_a_rotation(self):
        connector = self.make(*self.secrets[:2])
        body = self.encode(next(iter(self.payloads.values())))
        for secret in self.secrets[:2]:
            assert connector.verify(self.signed(body, secret), RECEIVED_MS)

    def test_a_foreign_secret_is_refused(self):
        connector = self.make(*self.secrets[:2])
        for value in self.payloads.values():
            assert not connector.verify(
                self.signed(self.encode(value), self.secrets[2]), RECEIVED_MS
            )

    def test_a_request_without_signature_is_refused(self):
        connector = self.make(self.secrets[0])
        for request in self.requests().values():
            for unsigned in self.unsigned(request):
                assert not connector.verify(unsigned, RECEIVED_MS)

    def test_a_damaged_signature_is_refused_without_an_exception(self):
        connector = self.make(self.secrets[0])
        request = next(iter(self.requests().values()))
        # What `parse` reads is no signature; some providers leave it unsigned.
        plain = {"content-encoding", *connector.reads}
        for header in request.headers.keys() - plain:
            for damage in (
                "",
                "x",
                "=",
                "é",
                "\udc80",
                "9" * 5000,
                request.headers[header][:-2] + "!!",
            ):
                headers = {**request.headers, header: damage}
                assert not connector.verify(request._replace(headers=headers), RECEIVED_MS)

    def test_a_changed_body_is_refused(self):
        if not self.signs_body:
            return
        connector = self.make(self.secrets[0])
        for request in self.requests().values():
            for changed in _damaged(request.body):
                assert not connector.verify(request._replace(body=changed), RECEIVED_MS)

    # What comes out

    def test_every_payload_becomes_touchpoints_that_are_accepted(self):
        for name, request in self.requests().items():
            results = self.parse(request)
            assert results, name
            for result in results:
                assert isinstance(result, Touchpoint), (name, result)
                verdict = accept(result, SourcePolicy("source"), RECEIVED_MS, original(result))
                assert isinstance(verdict, Accepted), (name, verdict)

    def test_event_ids_are_distinct_within_the_payloads(self):
        touches = [result for request in self.requests().values() for result in self.parse(request)]
        assert len({touch.event_id for touch in touches}) == len(touches)

    def test_the_same_request_twice_gives_the_same_events(self):
        for request in self.requests().values():
            assert self.parse(request) == self.parse(request)

    def test_the_order_of_keys_changes_nothing(self):
        for name, value in self.payloads.items():
            turned = self.request(reversed_keys(value), name)
            assert self.parse(turned) == self.parse(self.request(value, name))

    def test_a_field_of_tomorrow_changes_nothing_but_properties(self):
        for name, value in self.payloads.items():
            results = self.parse(self.request(self.with_extra(value), name))
            assert _without_properties(results) == _without_properties(
                self.parse(self.request(value, name))
            )

    # What is kept of a refusal

    def test_what_is_kept_of_each_event_is_read_again_as_it_was(self):
        """As a replay does: without key, signature and the other events of its body."""
        connector = self.make(self.secrets[0])
        for name, request in self.requests().items():
            origins = Origins("source", connector, request)
            for result in self.parse(request):
                payload = original(result)
                origin = origins.of(Rejection("invalid", "", payload))
                assert origin.form in ("body", "event"), name
                again = Kept.of(origin.request).request(payload)
                found = self.parse(again)
                assert found == ([result] if origin.form == "event" else self.parse(request)), name
                assert not any(secret in origin.request for secret in self.secrets)

    # Bad data

    def test_an_unreadable_body_is_one_rejection_with_its_bytes(self):
        for name, body in UNREADABLE.items():
            results = self.parse(self.signed(body, self.secrets[0]))
            assert len(results) == 1, name
            assert isinstance(results[0], Rejection), name
            assert results[0].reason in ("unreadable", "invalid", "unsupported"), name
            assert results[0].payload == body, name

    def test_a_wrong_value_anywhere_is_refused_or_kept_never_an_exception(self):
        for name, value in self.payloads.items():
            for path in places(value):
                for wrong in WRONG:
                    self._check(self.request(put(value, path, wrong), name))

    def test_half_of_an_emoji_costs_no_event(self):
        for name, value in self.payloads.items():
            body = self.encode(self.with_extra(value)).replace(b'"x"', b'"\\ud83d"')
            results = self.parse(self.signed(body, self.secrets[0], name))
            assert all(isinstance(result, Touchpoint) for result in results), name

    def test_shows_no_secret(self):
        connector = self.make(*self.secrets[:2])
        shown = [repr(connector), str(connector), repr(vars(connector).get("_options"))]
        for request in self.requests().values():
            damaged = request._replace(body=request.body[:-1])
            shown += [str(result) for result in self.parse(damaged)]
        for secret in self.secrets:
            assert not any(secret in text for text in shown)

    @RELAXED
    @given(body=st.binary(max_size=200))
    def test_any_bytes(self, body: bytes):
        self._fuzz(self.signed(body, self.secrets[0]))

    @RELAXED
    @given(value=JSON)
    def test_any_json(self, value: Any):
        self._fuzz(self.signed(json.dumps(value).encode(), self.secrets[0]))

    @RELAXED
    @given(data=st.data())
    def test_any_change_of_a_payload(self, data: st.DataObject):
        name = data.draw(st.sampled_from(sorted(self.payloads)))
        value = self.payloads[name]
        for _ in range(data.draw(st.integers(1, 3))):
            value = put(value, data.draw(st.sampled_from(list(places(value)))), data.draw(JSON))
            if not list(places(value)):
                break
        self._fuzz(self.request(value, name))

    def _check(self, request: Request) -> list[Result]:
        """Results of any kind, but results; rejections keep bytes and repeat no value."""
        results = self.parse(request)
        for result in results:
            if isinstance(result, Rejection):
                assert result.payload
                assert MARK not in result.detail
                assert len(result.detail) < 1000
            else:
                accept(result, SourcePolicy("source"), RECEIVED_MS, original(result))
        return results

    def _fuzz(self, request: Request) -> None:
        connector = self.make(self.secrets[0])
        connector.verify(request, RECEIVED_MS)
        connector.reply(request)
        self.parse(request)
        assert self.parse(request) == self.parse(request)


def _damaged(body: bytes) -> Iterator[bytes]:
    """A body with something added, cut off, or one bit flipped."""
    yield body + b" "
    yield body[:-1]
    for at in range(0, len(body), max(1, len(body) // 7)):
        yield body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]


def _without_properties(results: list[Result]) -> list[Any]:
    return [
        result.model_dump(exclude={"properties"}) if isinstance(result, Touchpoint) else result
        for result in results
    ]
