"""The replies of each family of paths (docs/gateway.md)."""

from __future__ import annotations

import math
from typing import Any

import msgspec
from aiohttp import web

from ingest.connector import Reply
from ingest.gateway.request_pipeline import EventResult, RequestResult
from ingest.intake.evaluate import printable
from schemas.rejection import Reason, Rejection

JSON = "application/json"
SEGMENT_OK = b'{"success": true}'
#: Refusals that are not the request's fault: a provider that sends it again gains nothing.
_NOBODYS_FAULT: frozenset[Reason] = frozenset({"no_identifier", "unsupported", "violates_plan"})
_TOO_LARGE: frozenset[Reason] = frozenset({"too_large", "too_many"})
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


def _status(rejection: Rejection) -> int:
    if rejection.reason in _TOO_LARGE:
        return 413
    return 500 if rejection.reason == "processing_failed" else 400


def segment(result: RequestResult) -> web.Response:
    """Return exactly 200 and {"success": true}; 400 if the body or its one event was refused."""
    refusal = result.refusal
    if refusal is None:
        return web.Response(body=SEGMENT_OK, content_type=JSON)
    status = _status(refusal)
    return error(400 if status == 413 else status, refusal.detail)


def events(result: RequestResult) -> web.Response:
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


def hook(result: RequestResult, reply: Reply) -> web.Response:
    """Return the provider's reply; 400 or 413 when the body or its one event was refused."""
    refusal = result.refusal
    if refusal is None or refusal.reason in _NOBODYS_FAULT:
        return provider(reply)
    return error(_status(refusal), refusal.detail)


def tracker(result: RequestResult, reply: Reply) -> web.Response:
    """Return the tracker's reply; 400 for refusals, since it sends again what is answered 413."""
    refusal = result.refusal
    if refusal is None or refusal.reason in _NOBODYS_FAULT:
        return provider(reply)
    status = _status(refusal)
    return error(400 if status == 413 else status, refusal.detail)


def provider(reply: Reply) -> web.Response:
    """Return a connector's own reply."""
    kind = reply.content_type if reply.body else None
    return web.Response(status=reply.status, body=reply.body, content_type=kind)
