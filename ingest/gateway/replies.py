"""The replies of each family of paths (docs/gateway.md)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import web

from ingest.connector import Reply, Request, WebhookConnector
from ingest.gateway.request_pipeline import EventResult, RequestResult
from ingest.intake.evaluate import printable
from ingest.kit.keyed import Answers
from schemas.rejection import Reason, Rejection

JSON = "application/json"
#: Refusals that are not the request's fault: a provider that sends it again gains nothing.
_NOBODYS_FAULT: frozenset[Reason] = frozenset({"no_identifier", "unsupported", "violates_plan"})
_TOO_LARGE: frozenset[Reason] = frozenset({"too_large", "too_many"})
_WEBHOOK = Answers()
_CODES = {
    400: "invalid_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "timeout",
    413: "too_large",
    429: "rate_limited",
    500: "internal_error",
    503: "unavailable",
}


def json_reply(status: int, value: Any, headers: dict[str, str] | None = None) -> web.Response:
    """Return a reply with a JSON body."""
    body = msgspec.json.encode(value)
    return web.Response(status=status, body=body, content_type=JSON, headers=headers)


def error(status: int, message: str, retry_after: float | None = None) -> web.Response:
    """Return an error: `code`, `message`, and Retry-After in whole seconds if there is one."""
    value = {"code": _CODES.get(status, "error"), "message": printable(message)}
    headers = None
    if retry_after is not None:
        headers = {"Retry-After": str(max(1, math.ceil(retry_after)))}
    return json_reply(status, value, headers)


def _status(rejection: Rejection, too_large: int = 413) -> int:
    if rejection.reason in _TOO_LARGE:
        return too_large
    return 500 if rejection.reason == "processing_failed" else 400


def to_events(
    result: RequestResult,
    reply: Reply,
    answers: Answers = _WEBHOOK,
    headers: Mapping[str, str] = {},
) -> web.Response:
    """Return the answer to a request with events: `reply`, or an error if all of it was refused."""
    if answers.itemized:
        answer = _itemized(result)
    else:
        refusal = result.refusal
        if refusal is None or (answers.tolerant and refusal.reason in _NOBODYS_FAULT):
            answer = provider(reply)
        else:
            answer = error(_status(refusal, answers.too_large), refusal.detail)
    answer.headers.update(headers)
    return answer


def _itemized(result: RequestResult) -> web.Response:
    """Return 202 with each event's verdict; if one event was refused, 400 or 413 in that shape."""
    value: dict[str, Any] = {
        "accepted": len(result.accepted),
        "rejected": len(result.rejected),
        "results": [_result(event) for event in result.events],
    }
    refusal = result.refusal
    if refusal is None:
        return json_reply(202, value)
    status = _status(refusal)
    return json_reply(
        status, {"code": _CODES[status], "message": printable(refusal.detail), **value}
    )


def _result(event: EventResult) -> dict[str, str | None]:
    refused = event.rejection
    return {
        "event_id": None if event.event_id is None else printable(event.event_id),
        "status": "accepted" if refused is None else "rejected",
        "reason": None if refused is None else refused.reason,
        "detail": None if refused is None else printable(refused.detail),
    }


def to_handshake(connector: WebhookConnector, request: Request) -> web.Response:
    """Return the answer of a connector to a handshake, 405 if it knows none."""
    reply = connector.handshake(request)
    return error(405, "this source takes POST only") if reply is None else provider(reply)


def provider(reply: Reply) -> web.Response:
    """Return a connector's own reply."""
    kind = reply.content_type if reply.body else None
    return web.Response(status=reply.status, body=reply.body, content_type=kind)
