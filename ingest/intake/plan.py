"""The tracking plan of a source: which types of events it sends, and a JSON Schema for each.

A plan checks the touchpoint as `/v1/events` accepts it (docs/tracking-plan.md),
so a plan is the same whichever connector has read the event. JSON Schema is draft 2020-12
(https://json-schema.org/draft/2020-12). jsonschema-rs checks a touchpoint of a usual size in 2 µs;
jsonschema, the reference in Python, needs 160, which is more than the rest of the gateway does for
an event. Its patterns are those of Rust's regex, which take a time linear in the text: a customer's
text cannot stop the gateway.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jsonschema_rs import Draft202012Validator, RegexOptions, ValidationError

from ingest.intake.accept import SourcePolicy, channel_of, currency_of
from schemas.times import rfc3339, to_ms
from schemas.touchpoint import Touchpoint
from schemas.violation import Violation, Violations

#: Name for every type that has no schema of its own.
OTHER_TYPES = "_default"
#: The fields of the document that is checked.
FIELDS = (
    "event_id", "channel", "type", "identifiers", "direction", "occurred_at", "traits", "consent",
    "campaign", "value", "duration_s", "outcome", "sentiment", "subject", "url", "properties",
)  # fmt: skip
#: Most differences that are reported for one event.
MOST = 20
#: Most characters of a schema that are repeated.
_EXPECTED_LENGTH = 200
_UNPLANNED = Violation("type", "unplanned", "a type of the tracking plan", "another one")
_TOO_DEEP = Violation("", "depth", "at most 250 levels", "more")
_NO_FIELD = "no such field"
_TYPES = {
    type(None): "null", bool: "boolean", int: "integer", float: "number", str: "string",
    dict: "object",
}  # fmt: skip
_PLAIN = ("outcome", "subject", "url", "duration_s", "sentiment")


def compiled(schema: Any) -> Draft202012Validator:
    """Compile a schema. Raises ValueError for one that is wrong, or needs another."""
    return Draft202012Validator(
        schema, validate_formats=True, retriever=_nowhere, pattern_options=RegexOptions()
    )


def _nowhere(address: str) -> Any:
    raise LookupError(address)


class Plan:
    """The plan of one source. Pure."""

    def __init__(self, schemas: Mapping[str, Any], *, rejects: bool) -> None:
        """`schemas`: by type. `rejects`: True if an event that violates one is refused."""
        self.rejects = rejects
        self._schemas = schemas
        self._checks = {name: compiled(schema) for name, schema in schemas.items()}

    def violations(
        self, touch: Touchpoint, source: SourcePolicy, payload: Callable[[], bytes]
    ) -> Violations | None:
        """Return the touchpoint's differences from the plan; None if there are none."""
        name = touch.type if touch.type in self._checks else OTHER_TYPES
        check = self._checks.get(name)
        if check is None:
            found: tuple[Violation, ...] = (_UNPLANNED,)
        else:
            found = self._differences(check, name, stated(touch, source))
        if not found:
            return None
        planned = "" if name == OTHER_TYPES else name
        return Violations(touch.event_id, touch.type, planned, found, self.rejects, payload)

    def _differences(
        self, check: Draft202012Validator, name: str, document: Mapping[str, Any]
    ) -> tuple[Violation, ...]:
        try:
            if check.is_valid(document):
                return ()
            told: dict[tuple[str, str], Violation] = {}
            for error in check.iter_errors(document):
                for one in _told(error, self._schemas[name]):
                    told.setdefault((one.place, one.rule), one)
                if len(told) >= MOST:
                    break
        except ValueError:  # the library's own limit, where gateway.limits.depth is set above it
            return (_TOO_DEEP,)
        return tuple(told.values())[:MOST]


def stated(touch: Touchpoint, source: SourcePolicy) -> dict[str, Any]:
    """Return the document that is checked: the touchpoint, with the source's channel and currency.

    Fields that it does not have are absent; `traits`, `consent` and `properties` are always there.
    """
    document: dict[str, Any] = {
        "event_id": touch.event_id,
        "channel": channel_of(touch, source),
        "type": touch.type,
        "identifiers": [{"kind": one.kind, "value": one.value} for one in touch.identifiers],
        "direction": touch.direction,
        "traits": touch.traits,
        "consent": touch.consent,
        "properties": touch.properties,
    }
    if touch.occurred_at is not None:
        document["occurred_at"] = rfc3339(to_ms(touch.occurred_at))
    if touch.campaign is not None:
        document["campaign"] = touch.campaign.model_dump(exclude_none=True)
    if touch.value is not None:
        currency = currency_of(touch.value, source)
        document["value"] = {"amount": float(touch.value.amount)}
        if currency:
            document["value"]["currency"] = currency
    for name in _PLAIN:
        value = getattr(touch, name)
        if value is not None:
            document[name] = value
    return document


def _told(error: ValidationError, schema: Any) -> Iterator[Violation]:
    """Yield an error of the library in our words; its own message would repeat the value."""
    rule = error.kind.name
    path = tuple(error.instance_path)
    said = error.kind.as_dict()
    came: Any = error.instance
    if rule == "required":
        yield Violation(place_of((*path, said["property"])), rule, "a value", "nothing")
    elif rule in ("additionalProperties", "unevaluatedProperties"):
        for name in said["unexpected"]:
            place = place_of((*path, name))
            yield Violation(place, rule, _NO_FIELD, json_type(came.get(name)))
    elif rule == "falseSchema":
        yield Violation(place_of(path), rule, _NO_FIELD, json_type(came))
    else:
        expected = _expected(rule, tuple(error.schema_path), schema)
        yield Violation(place_of(path), rule, expected, json_type(came))


def _expected(rule: str, path: tuple[str | int, ...], schema: Any) -> str:
    """Return the schema's text at a keyword; the keyword alone if it is in another place."""
    if rule not in path:
        return rule
    part = schema
    try:
        # A field may be called like a keyword: the last one is it.
        for step in path[: len(path) - path[::-1].index(rule)]:
            part = part[step]
    except (KeyError, IndexError, TypeError):
        return rule
    text = f"{rule} {json.dumps(part, ensure_ascii=False)}"
    return text if len(text) <= _EXPECTED_LENGTH else f"{text[: _EXPECTED_LENGTH - 1]}…"


def place_of(path: tuple[str | int, ...]) -> str:
    """Return a path within the event as text; all items of a list are one place."""
    place = ""
    for step in path:
        if isinstance(step, int):
            place += "[]"
        else:
            place += f".{step}" if place else step
    return place


def json_type(value: object) -> str:
    """Return the type of a value in the words of JSON Schema."""
    return _TYPES.get(type(value), "array")
