"""A dry run of a connector on a payload, without Kafka and without a signature."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ingest.connector import AnyConnector, Request, WebhookConnector
from ingest.intake.accept import Accepted, SourcePolicy
from ingest.intake.evaluate import evaluate
from ingest.intake.limits import Limits
from ingest.intake.source import ReadableSource
from ingest.registry import ConnectorError, Registry
from schemas.rejection import Rejection
from schemas.violation import Violation

_URL = "https://touch.example.com"
_FORM = "application/x-www-form-urlencoded"
#: Columns of a touchpoint that are shown on a line of their own, or do not describe the customer.
_TOLD = frozenset(
    {
        "event_id", "channel", "type", "source", "direction", "occurred_at", "received_at",
        "lead_kind", "lead_value", "lead_id", "identifiers", "schema_version", "value_currency",
    }
)  # fmt: skip


def connector_for(registry: Registry, name: str, options: Mapping[str, Any]) -> AnyConnector:
    """Return a connector for a dry run; secrets that are not given are made up.

    Raises ConnectorError if an option that is not a secret is missing or wrong.
    """
    return registry.create(name, registry.load(name).options.with_stand_ins(options))


def source_for(
    registry: Registry, name: str, options: Mapping[str, Any], policy: SourcePolicy
) -> ReadableSource:
    """Return a source with a connector, made as `connector_for` does.

    Also raises ConnectorError if the connector accepts no requests.
    """
    connector = connector_for(registry, name, options)
    if not isinstance(connector, WebhookConnector):
        raise ConnectorError(
            f"connector {name!r} takes no requests: for files, see touchline import --dry-run"
        )
    return ReadableSource(connector, policy)


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


def results(
    source: ReadableSource, request: Request, received_ms: int
) -> list[Accepted | Rejection]:
    """Return the result for each event of a request, as the gateway computes it."""
    return list(evaluate(source, request, received_ms, Limits()))


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
