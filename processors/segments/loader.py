"""Segments from files of definitions: all problems are reported at once, by file and line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from processors.segments import definition as models
from processors.segments.compile import Segment, compile_segment
from processors.segments.values import shown
from schemas.document import Document, Location
from schemas.errors import ProblemsFound

_SETTINGS: Mapping[str, type[BaseModel]] = MappingProxyType(
    {
        "trait": models.Trait,
        "identifier": models.Identifier,
        "consent": models.Consent,
        "count": models.Count,
        "sum": models.Sum,
        "last_touch": models.Recency,
        "first_touch": models.Recency,
    }
)
#: The expected content of a text field, if its pattern does not tell.
_WANTED = {
    "channel": "expected a word of a-z, 0-9 and _ such as web",
    "type": "expected one word such as page_viewed",
    "currency": "expected an ISO 4217 code such as JPY",
    "kind": "expected a kind of identifier such as email",
}
_WANTED_BY_ERROR = {
    "int_type": "expected a whole number",
    "bool_type": "expected true or false",
    "string_type": "expected text",
    "tuple_type": "expected a list",
    "string_too_short": "expected text that is not empty",
    "string_pattern_mismatch": "expected text without control characters",
}
_HINTS = {
    "currency": ", expected one such as JPY: amounts in different currencies do not add up",
    "is": ", expected true or false",
}


class SegmentError(ProblemsFound):
    """Invalid definitions."""


def compile_documents(documents: Iterable[Document]) -> tuple[Segment, ...]:
    """Return the segments that files with definitions define, sorted by name.

    Raises `SegmentError` with every problem of every file, in the order of file and line.
    """
    documents = list(documents)
    definitions = [
        (document, definition)
        for document in documents
        if (definition := _definition(document)) is not None
    ]
    named: dict[str, Document] = {}
    for document, definition in definitions:
        first = named.setdefault(definition.name, document)
        if first is not document:
            place = f"{first.path.name}:{first.line(('name',))}"
            document.report(
                document.line(("name",)),
                f"name: {definition.name} is taken by {place}, expected a name of its own",
            )
    if problems := [problem for document in documents for problem in document.problems]:
        raise SegmentError(*sorted(problems, key=lambda one: (one.place, one.line, one.message)))
    return tuple(
        compile_segment(definition)
        for _, definition in sorted(definitions, key=lambda item: item[1].name)
    )


def _definition(document: Document) -> models.Definition | None:
    if document.data is None:
        return None
    try:
        definition = models.Definition.model_validate(document.data)
        wrong: list[tuple[Location, str]] = []
    except ValidationError as error:
        definition = None
        wrong = list(_explained(error))
    for location in _empty(document.data, ()):
        if not any(location[: len(place)] == place for place, _ in wrong):
            wrong.append((location, f"{location[-1]} has no value, expected one"))
    as_yaml = {problem.line for problem in document.problems}
    for location, message in wrong:
        line = document.line(location)
        if line not in as_yaml:  # a line with a YAML problem gets no second one
            document.report(line, message)
    return definition


def _empty(data: Any, location: Location) -> Iterator[Location]:
    """Yield the locations of keys without a value."""
    if data is None and location:
        yield location
    items = data.items() if isinstance(data, dict) else ()
    for key, value in enumerate(data) if isinstance(data, list) else items:
        yield from _empty(value, (*location, key))


def _explained(error: ValidationError) -> Iterator[tuple[Location, str]]:
    for details in error.errors(include_url=False):
        if details["type"] == "too_short" and details["input"]:
            continue  # its items are wrong, and reported themselves
        location = _location(details["loc"])
        yield location, _message(details, location)


def _location(loc: tuple[int | str, ...]) -> Location:
    """Return a location in the file: pydantic names a condition twice, as variant and as field."""
    return tuple(
        part
        for i, part in enumerate(loc)
        if part not in models.KEYWORDS or loc[i + 1 : i + 2] != (part,)
    )


def _message(details: ErrorDetails, location: Location) -> str:
    value = details["input"]
    name = next((part for part in reversed(location) if isinstance(part, str)), "the file")
    match details["type"]:
        case "extra_forbidden":
            message = _unknown_field(name, location[:-1])
        case "missing":
            message = f"{name} is missing{_HINTS.get(name, '')}"
        case "union_tag_invalid" | "union_tag_not_found":
            message = _no_condition(value)
        case "value_error":
            message = f"{name}: {details['ctx']['error']}"
        case "too_short":
            message = f"{name} is empty, expected at least one item"
        case "model_type":
            known = ", ".join(_fields(location))
            message = f"{name}: {shown(value)} is no mapping, expected some of {known}"
        case _:
            message = f"{name}: {shown(value)} does not fit, {_wanted(details, location)}"
    return message


def _wanted(details: ErrorDetails, location: Location) -> str:
    if details["type"] == "string_pattern_mismatch":
        if location == ("name",):
            return "expected at most 64 of a-z, 0-9 and _"
        if location[-1] in _WANTED:
            return _WANTED[str(location[-1])]
    default = details["msg"].replace("Input should be", "expected it to be")
    return _WANTED_BY_ERROR.get(details["type"], default)


def _no_condition(value: object) -> str:
    known = ", ".join(models.KEYWORDS)
    if not isinstance(value, dict) or not value:
        return f"{shown(value)} is no condition, expected one of {known}"
    if len(value) > 1:
        message = f"one condition must stand here, found {', '.join(map(str, value))}"
        if next(iter(value)) in models.KEYWORDS and next(iter(value.values())) is None:
            return f"{message}; expected the lines below {next(iter(value))} to be indented more"
        return f"{message}; expected several to be joined with all or any"
    keyword = str(next(iter(value)))
    if keyword in models.NOT_YET:
        return f"condition {keyword} is not supported yet, expected one of {known}"
    return (
        f"unknown condition {keyword}{_nearest(keyword, models.KEYWORDS)}, expected one of {known}"
    )


def _unknown_field(name: str, parent: Location) -> str:
    fields = _fields(parent)
    return f"unknown field {name}{_nearest(name, fields)}, expected one of {', '.join(fields)}"


def _fields(location: Location) -> tuple[str, ...]:
    model = _SETTINGS.get(str(location[-1]), models.Definition) if location else models.Definition
    return tuple(field.alias or name for name, field in model.model_fields.items())


def _nearest(word: str, words: tuple[str, ...]) -> str:
    near = get_close_matches(word, words, n=1, cutoff=0.5)
    return f" (did you mean {near[0]}?)" if near else ""
