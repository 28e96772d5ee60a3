"""A dry run of a connector on a payload: without Kafka, a signature, or a provider to poll."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from ingest.connector import (
    AnyConnector,
    BatchConnector,
    MessageConnector,
    Request,
    RowConnector,
)
from ingest.files.identity import identify
from ingest.files.reader import BatchSource, SourceReader
from ingest.intake.accept import Accepted
from ingest.intake.evaluate import evaluate
from ingest.intake.limits import Limits
from ingest.intake.source import ReadableSource
from ingest.registry import ConnectorError, Registry
from schemas.rejection import Rejection
from schemas.violation import Violation

#: Where a provider is to be polled, in a dry run.
_NOWHERE = "not-given.example"
_URL = "https://touch.example.com"
_FORM = "application/x-www-form-urlencoded"
#: Columns of a touchpoint that are shown on a line of their own, or do not describe the customer.
_TOLD = frozenset(
    {
        "event_id", "channel", "type", "source", "direction", "occurred_at", "received_at",
        "lead_kind", "lead_value", "lead_id", "identifiers", "schema_version", "value_currency",
    }
)  # fmt: skip


class Previewed(NamedTuple):
    """The results for a request, or for one row of a file; `place` says which row, for people."""

    place: str
    results: Sequence[Accepted | Rejection]


def connector_for(registry: Registry, name: str, options: Mapping[str, Any]) -> AnyConnector:
    """Return a connector for a dry run; secrets that are not given are made up.

    So is everything that says where a provider is to be polled: it is not. Raises ConnectorError if
    another option is missing or wrong.
    """
    loaded = registry.load(name)
    given = loaded.options.with_stand_ins(options)
    if issubclass(loaded, BatchConnector) and loaded.pulls:
        texts = {
            option: _NOWHERE
            for option, field in loaded.options.model_fields.items()
            if field.is_required() and field.annotation is str
        }
        given = {**texts, **given}
    return registry.create(name, given)


def option_values(model: type[BaseModel], given: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return options as their model takes them, from the texts of a command line.

    A text may stand for itself, be JSON, or a list with commas between; an option that is given
    several times is a list. The model refuses the rest with a message.
    """
    texts: dict[str, list[str]] = {}
    for name, text in given:
        texts.setdefault(name, []).append(text)
    return {name: _taken(model, name, found) for name, found in texts.items()}


def _taken(model: type[BaseModel], name: str, texts: list[str]) -> Any:
    text = texts[-1]
    read = _read(text)
    structured = [one for one in read if isinstance(one, dict | list)]
    candidates = [*structured, text, *read, text.split(",")] if len(texts) == 1 else [texts]
    refused = read[0] if read else text
    return next((one for one in candidates if _is_taken(model, name, one)), refused)


def _is_taken(model: type[BaseModel], name: str, value: Any) -> bool:
    try:
        model.model_validate({name: value})
    except ValidationError as error:
        return not any(problem["loc"][:1] == (name,) for problem in error.errors())
    return True


def _read(text: str) -> list[Any]:
    try:
        return [json.loads(text)]
    except ValueError:
        return []


def preview(
    source: BatchSource, request: Request, file_name: str, now_ms: Callable[[], int]
) -> Iterator[Previewed]:
    """Yield what the gateway, an import or a pull would make of a payload.

    `request.body` is the file for a connector of files, a message for one that polls for messages.
    Raises FileProblem, and ConnectorError if the connector takes neither.
    """
    connector = source.connector
    if isinstance(connector, BatchConnector) and not connector.pulls:
        yield from _file(source, request.body, file_name, now_ms)
        return
    place = ""
    if isinstance(connector, MessageConnector):
        row = connector.row_of(request.body)
        place, request = row.place, row.request
    if isinstance(connector, BatchConnector) and not isinstance(connector, RowConnector):
        raise ConnectorError(f"connector {connector.name!r} takes no single messages to try")
    readable = ReadableSource(connector, source.policy, source.plan)
    yield Previewed(place, list(evaluate(readable, request, now_ms(), Limits())))


def _file(
    source: BatchSource, content: bytes, name: str, now_ms: Callable[[], int]
) -> Iterator[Previewed]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / (Path(name).name or "payload")
        path.write_bytes(content)
        for row in SourceReader(source, Limits(), now_ms).rows(None, identify(path, ())[0]):
            yield Previewed(row.place, row.results)


def request_of(
    payload: bytes, *, method: str, path: str, query: str, headers: Mapping[str, str]
) -> Request:
    """Return a request with this payload; a missing Content-Type is inferred from the bytes."""
    named = {name.lower(): value for name, value in headers.items()}
    if "content-type" not in named:
        is_json = payload.lstrip()[:1] in (b"{", b"[")
        named["content-type"] = "application/json" if is_json else _FORM
    url = _URL + path + (f"?{query}" if query else "")
    return Request(method, path, query, url, named, payload)


def documents(found: Sequence[Accepted | Rejection]) -> list[dict[str, Any]]:
    """Return the results for a program."""
    return [
        {"touchpoint": json.loads(one.value), "violations": list(map(str, _differences(one)))}
        if isinstance(one, Accepted)
        else {"rejection": {"reason": one.reason, "detail": one.detail, "event_id": one.event_id}}
        for one in found
    ]


def lines(found: Sequence[Accepted | Rejection]) -> Iterator[str]:
    """Yield the results for a person, line by line."""
    touches = sum(isinstance(one, Accepted) for one in found)
    yield f"{_count(touches, 'touchpoint')}, {_count(len(found) - touches, 'rejection')}"
    for number, one in enumerate(found, 1):
        yield ""
        if isinstance(one, Rejection):
            yield f"{number}. refused ({one.reason}): {one.detail}"
        else:
            yield from _touchpoint(number, json.loads(one.value))
            for violation in _differences(one):
                yield f"   violates the tracking plan: {violation}"


def _differences(accepted: Accepted) -> Sequence[Violation]:
    return accepted.violations.found if accepted.violations else ()


def _touchpoint(number: int, row: Mapping[str, Any]) -> Iterator[str]:
    yield f"{number}. {row['type']} ({row['channel']}, {row['direction']}) {row['occurred_at']}"
    told = [("event_id", row["event_id"]), *_identifiers(row), *_rest(row)]
    width = max(len(name) for name, _ in told)
    for name, value in told:
        yield f"   {name:<{width}}  {value}"


def _identifiers(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for kind, values in row["identifiers"].items():
        for value in values:
            leads = (kind, value) == (row["lead_kind"], row["lead_value"])
            yield kind, f"{value}  (leads)" if leads else value


def _rest(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for column, value in row.items():
        if column in _TOLD:
            continue
        if column == "value_amount":
            yield "value", f"{value} {row.get('value_currency') or '(no currency)'}"
            continue
        inside = json.loads(value) if column == "properties" else value
        if isinstance(inside, dict):
            for name, content in inside.items():
                yield f"{column}.{name}", json.dumps(content, ensure_ascii=False)
        else:
            yield column, str(value)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
