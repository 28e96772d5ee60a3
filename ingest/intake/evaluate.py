"""From a request to records: what becomes of each of its events. Synchronous and pure.

The gateway judges what comes in by it, an import each row, and a replay what was refused once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import structlog

from ingest.connector import Context, Request, Result, original
from ingest.gateway.body import depth
from ingest.gateway.config import GatewayConfig, ReadSource
from ingest.intake.accept import Accepted, SourcePolicy, accept
from ingest.intake.plan import Plan
from ingest.intake.replay_context import Origins
from ingest.publishing.port import MAX_RECORD_BYTES, Refused
from schemas.error_location import error_location
from schemas.rejection import Origin, Rejection, rejected_row
from schemas.touchpoint import Touchpoint

log = structlog.get_logger(__name__)

#: Deeper than this no connector gets to see it: most decoders recurse, and would fail.
_DECODABLE_DEPTH = 500
#: So many differences from the plan stand in the detail of a refusal, which is cut at a length.
_TOLD = 3
_DETAIL_LENGTH = 500
_JSON_STARTS = (b"{", b"[", b" ", b"\n", b"\r", b"\t")


def judged(
    source: ReadSource, request: Request, received_ms: int, config: GatewayConfig
) -> Iterator[Accepted | Rejection]:
    """The record of each event, in its order, or why it is refused.

    A connector that fails makes the last one a refusal of the whole body: what it choked on can
    be replayed once the bug is mended.
    """
    level = depth(request.body, _DECODABLE_DEPTH) if request.body[:1] in _JSON_STARTS else 0
    if level > _DECODABLE_DEPTH:
        detail = f"the body is nested deeper than {_DECODABLE_DEPTH} levels"
        yield Rejection("unreadable", detail, request.body)
        return
    context = Context(source.name, received_ms, source.policy.currency, config.max_events)
    try:
        for result in source.connector.parse(request, context):
            yield _judge(source, result, received_ms, level, config.max_depth)
    except Exception as error:
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


def refused(
    rejection: Rejection,
    origins: Origins,
    *,
    rejected_id: str,
    received_ms: int,
    max_kept_bytes: int,
) -> Refused:
    """The record of a refusal: of a large payload the beginning, cut so that Kafka takes it."""
    rejection = replace(rejection, detail=printable(rejection.detail))
    origin = origins.of(rejection)
    size = len(rejection.payload)
    if size > max_kept_bytes:
        detail = f"{rejection.detail} (kept: the first {max_kept_bytes} of {size} bytes)"
        rejection = replace(rejection, payload=rejection.payload[:max_kept_bytes], detail=detail)
        origin = _cut(origin)
    value = rejected_row(rejection, origin, rejected_id=rejected_id, received_ms=received_ms)
    if len(value) > MAX_RECORD_BYTES:
        # With what stood around it it is too much for a record.
        origin = _cut(origin)
        value = rejected_row(rejection, origin, rejected_id=rejected_id, received_ms=received_ms)
    return Refused(rejected_id.encode(), value)


def _cut(origin: Origin) -> Origin:
    return replace(origin, form="cut", request="")


def printable(text: str) -> str:
    """Text that JSON can carry: names of fields and ids from headers may hold half characters."""
    return text.encode("utf-8", "replace").decode()


def _judge(
    source: ReadSource, result: Result, received_ms: int, level: int, max_depth: int
) -> Accepted | Rejection:
    if isinstance(result, Rejection):
        return result
    if level > max_depth:
        payload = original(result)
        if depth(payload, max_depth) > max_depth:
            detail = f"the event is nested deeper than {max_depth} levels"
            return Rejection("invalid", detail, payload, result.event_id)
    return judged_touch(result, source.policy, source.plan, received_ms)


def judged_touch(
    touch: Touchpoint, policy: SourcePolicy, plan: Plan | None, received_ms: int
) -> Accepted | Rejection:
    """What becomes of a touchpoint, compared with the source's tracking plan too."""
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
