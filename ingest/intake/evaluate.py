"""Evaluation of a request: a record, or a rejection, for each event. Synchronous and pure.

The gateway uses it for requests, an import for each row, and a replay for what was refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import structlog

from ingest.connector import Context, Request, original
from ingest.intake.accept import Accepted, SourcePolicy, accept
from ingest.intake.depth import depth
from ingest.intake.limits import Limits
from ingest.intake.plan import Plan
from ingest.intake.replay_context import Origins
from ingest.intake.source import ReadableSource
from ingest.loose_json import DEEPEST, damage
from ingest.publishing.port import MAX_RECORD_BYTES, Message
from ingest.request import decode_json
from schemas.error_location import error_location
from schemas.rejection import Origin, Rejection, rejected_row
from schemas.topics import REJECTED
from schemas.touchpoint import Touchpoint

log = structlog.get_logger(__name__)

#: Most differences from the plan in the detail of a refusal, which is cut at a length.
_TOLD = 3
_DETAIL_LENGTH = 500
_JSON_STARTS = (b"{", b"[", b" ", b"\n", b"\r", b"\t")


def evaluate(
    source: ReadableSource, request: Request, received_ms: int, limits: Limits
) -> Iterator[Accepted | Rejection]:
    """Yield the record of each event, in order, or the reason why it is refused.

    If a connector fails, the last result is a rejection of the whole body: the body can be
    replayed once the bug is fixed.
    """
    level = depth(request.body, DEEPEST) if request.body[:1] in _JSON_STARTS else 0
    if level > DEEPEST:
        request.cut_deep()
    context = Context(source.name, received_ms, source.policy.currency, limits.max_events)
    try:
        for result in source.connector.parse(request, context):
            if isinstance(result, Rejection):
                yield result
                continue
            refused = _misshapen(result, level, limits.max_depth, request.is_damaged)
            yield refused or evaluate_touchpoint(result, source.policy, source.plan, received_ms)
    except Exception as error:
        if isinstance(error, RecursionError) and level > DEEPEST:
            # A decoder of the connector's own, or a walk of its own.
            detail = f"the body is nested deeper than {DEEPEST} levels"
            yield Rejection("unreadable", detail, request.body)
            return
        name = source.connector.name
        log.error(
            "connector_failed",
            connector=name,
            source=source.name,
            error=type(error).__name__,
            where=error_location(error),
        )
        detail = f"connector {name} failed ({type(error).__name__})"
        yield Rejection("processing_failed", detail, request.body)


def rejection_message(
    rejection: Rejection,
    origins: Origins,
    *,
    rejected_id: str,
    received_ms: int,
    max_kept_bytes: int,
) -> Message:
    """Return the record of a rejection; a large payload is cut to the start that Kafka accepts."""
    origin = origins.of(rejection)
    rejection = replace(
        rejection,
        detail=printable(rejection.detail),
        payload=origins.masked(rejection.payload),
    )
    size = len(rejection.payload)
    if size > max_kept_bytes:
        detail = f"{rejection.detail} (kept: the first {max_kept_bytes} of {size} bytes)"
        rejection = replace(rejection, payload=rejection.payload[:max_kept_bytes], detail=detail)
        origin = _cut(origin)
    value = rejected_row(rejection, origin, rejected_id=rejected_id, received_ms=received_ms)
    if len(value) > MAX_RECORD_BYTES:
        # With the bytes around it, it is too large for a record.
        origin = _cut(origin)
        value = rejected_row(rejection, origin, rejected_id=rejected_id, received_ms=received_ms)
    return Message(REJECTED.name, rejected_id.encode(), value)


def _cut(origin: Origin) -> Origin:
    return replace(origin, form="cut", request="")


def printable(text: str) -> str:
    """Return text that JSON can carry: names of fields and ids may hold lone surrogates."""
    return text.encode("utf-8", "replace").decode()


def _misshapen(touch: Touchpoint, level: int, max_depth: int, is_damaged: bool) -> Rejection | None:
    """Return the refusal of an event that is nested too deeply or holds an unusable value.

    `level` and `is_damaged` are those of the whole body: most bodies need no second look.
    """
    if level <= max_depth and not is_damaged:
        return None
    payload = original(touch)
    detail = None
    if level > max_depth and depth(payload, max_depth) > max_depth:
        detail = f"the event is nested deeper than {max_depth} levels"
    elif is_damaged:
        detail = damage(decode_json(payload), "the event")
    return None if detail is None else Rejection("invalid", detail, payload, touch.event_id)


def evaluate_touchpoint(
    touch: Touchpoint, policy: SourcePolicy, plan: Plan | None, received_ms: int
) -> Accepted | Rejection:
    """Return the result of a touchpoint, compared with the source's tracking plan too."""
    accepted = accept(touch, policy, received_ms, lambda: original(touch))
    if plan is None or isinstance(accepted, Rejection):
        return accepted
    violations = plan.violations(touch, policy, lambda: original(touch))
    if violations is None:
        return accepted
    if violations.rejected:
        detail = "; ".join(map(str, violations.found[:_TOLD]))
        return Rejection(
            "violates_plan",
            detail[:_DETAIL_LENGTH],
            original(touch),
            touch.event_id,
            violations,
        )
    return accepted._replace(violations=violations)
