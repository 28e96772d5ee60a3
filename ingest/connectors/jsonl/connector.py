"""JSON lines: an object a line, touchpoints as they are or by a mapping (docs/channels/csv.md)."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import partial
from typing import Annotated, Any, ClassVar

from pydantic import AliasChoices, ConfigDict, Field, PlainValidator

from ingest.connector import Context, Options, Request, Result, Row, RowConnector
from ingest.kit.fields import Payload, finish, id_text, single_event
from ingest.kit.lines import row_id, rows
from ingest.kit.mapping import Mapping
from ingest.kit.mapping_yaml import read_mapping


class JsonLinesOptions(Options):
    """`map` maps the fields; without it each line is a touchpoint."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    map: Annotated[Mapping, PlainValidator(read_mapping)] | None = Field(
        default=None, validation_alias=AliasChoices("map", "mapping")
    )


class JsonLines(RowConnector):
    """A file with a JSON object a line."""

    name: ClassVar[str] = "jsonl"
    doc: ClassVar[str] = "Files: JSON lines, touchpoints as they are or with a mapping"
    options: ClassVar[type[Options]] = JsonLinesOptions

    def __init__(self, options: JsonLinesOptions) -> None:
        self._map = options.map

    def rows(self, cursor: str | None, context: Context) -> Iterator[Row]:
        """See `RowConnector`."""
        return rows(context, cursor)

    def parse(self, request: Request, context: Context) -> Iterator[Result]:
        """Yield the touchpoint of a line."""
        convert = partial(self._touch, row_id(request.path), context.source)
        yield single_event(request, convert, "the line")

    def _touch(self, event_id: str, source: str, event: dict[str, Any], payload: Payload) -> Result:
        if self._map is not None:
            return self._map.result(_Cells(event), event_id, payload, source)
        given = event.get("event_id")
        return finish(
            {**event, "event_id": event_id} if given in (None, "") else event, [], payload
        )


class _Cells:
    """`mapping.Cells` of an object; a column is a path of names with dots, or a name with dots."""

    __slots__ = ("_event",)

    def __init__(self, event: dict[str, Any]) -> None:
        self._event = event

    def value(self, column: str) -> Any:
        found = _at(self._event, column)
        return None if found == "" else found

    def text(self, column: str) -> str | None:
        value = self.value(column)
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, float):
            return repr(value) if not value.is_integer() else id_text(value) or repr(value)
        if isinstance(value, int):
            return str(value)
        return (value.strip() or None) if isinstance(value, str) else None

    def rest(self, used: frozenset[str]) -> dict[str, Any]:
        left = copy.deepcopy(self._event)
        for column in used:
            _remove(left, column)
        return {name: value for name, value in left.items() if value not in (None, "", {})}


def _at(event: Any, column: str) -> Any:
    if isinstance(event, dict) and column in event:
        return event[column]
    for name in column.split("."):
        if not isinstance(event, dict):
            return None
        event = event.get(name)
    return event


def _remove(event: dict[str, Any], column: str) -> None:
    if column in event:
        del event[column]
        return
    *path, last = column.split(".")
    inner: Any = event
    for name in path:
        inner = inner.get(name) if isinstance(inner, dict) else None
    if isinstance(inner, dict):
        inner.pop(last, None)
