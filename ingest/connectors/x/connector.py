"""The connector: signature, challenge, and the splitting of a request into single events.

Source: https://docs.x.com/x-api/webhooks/quickstart (challenge-response check; signature:
HMAC-SHA256 with the app's consumer secret over the raw body, base64 behind `sha256=` in
`x-twitter-webhooks-signature`).
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Iterator
from typing import Any, ClassVar

from pydantic import Field

from ingest.connector import (
    Context,
    Options,
    Reply,
    Request,
    Result,
    WebhookConnector,
    json_bytes,
    secrets,
)
from ingest.connectors.x import account_activity, activity
from ingest.kit.fields import (
    MARKETING,
    Fields,
    Payload,
    each,
    finish,
    json_object,
    without_own,
)
from ingest.kit.signing import BASE64, RequiredSecrets, is_named_hmac_of, query_value
from schemas.rejection import Rejection

SIGNATURE = "x-twitter-webhooks-signature"
#: A challenge. Whoever asks gets its HMAC by the secret that signs events too, so it must not be
#: a possible event: no JSON object is a challenge, and no challenge is accepted as an event.
_CHALLENGE = re.compile(rb"[\w+/=.:~-]{1,512}", re.ASCII)
_NAMES = {"event_id": "id", "occurred_at": "created_at"}
_NOBODY = "for_user_id: nobody else is named, and it is the company's own account"


class XOptions(Options):
    """`consumer_secret`: that of the app (API key secret), which signs. While two are valid the
    first answers challenges.

    `purpose`: the consent purpose that a customer withdraws by blocking the account. `accounts`:
    ids of the company's other accounts, which are no customers either.
    """

    consumer_secret: RequiredSecrets
    accounts: tuple[str, ...] = ()
    purpose: str = Field(MARKETING, min_length=1, max_length=512)


class X(WebhookConnector):
    """The webhook of an app of X, with what happens to the accounts that subscribed."""

    name: ClassVar[str] = "x"
    doc: ClassVar[str] = "Social: mentions, replies, likes, follows and direct messages of X"
    options: ClassVar[type[Options]] = XOptions

    def __init__(self, options: XOptions) -> None:
        self._secrets = secrets(options.consumer_secret)
        self._purpose = options.purpose
        self._accounts = frozenset(options.accounts)

    def verify(self, request: Request, received_ms: int) -> bool:
        """Return True if a consumer secret of ours signed the body, as an event."""
        shown = request.headers.get(SIGNATURE, "")
        signed = is_named_hmac_of(request.body, shown, self._secrets, BASE64)
        return signed and _CHALLENGE.fullmatch(request.body) is None

    def handshake(self, request: Request) -> Reply:
        """Return the answer to a challenge-response check."""
        token = (query_value(request.query, "crc_token") or "").encode("utf-8", "replace")
        if _CHALLENGE.fullmatch(token) is None:
            return Reply(403)
        digest = base64.b64encode(hmac.digest(self._secrets[0], token, "sha256")).decode()
        body = json_bytes({"response_token": f"sha256={digest}"})
        return Reply(200, body, "application/json")

    def parse(self, request: Request, context: Context) -> Iterator[Result]:
        """Yield the events of the request."""
        body = json_object(request)
        if isinstance(body, Rejection):
            yield body
            return
        single = list(_singles(body))
        if single:
            yield from each(single, request.body, context, self._event)
        else:
            detail = "the body: holds no list of events, and no data of one"
            yield Rejection("unsupported", detail, request.body)

    def around(self, request: Request) -> tuple[bytes, bytes]:
        """Return empty bytes: of each event a whole body is stored."""
        return b"", b""

    def _event(self, single: dict[str, Any], payload: Payload) -> Result:
        read = Fields(single)
        convert = activity.fields if "data" in single else account_activity.fields
        fields = convert(read, self._purpose)
        own = self._accounts | {_company(single)}
        fields["identifiers"] = without_own(fields["identifiers"], own)
        return finish({"channel": "social", **fields}, read.problems, payload, _NAMES, _NOBODY)


def _company(single: dict[str, Any]) -> str:
    """Return the id of the company's account that an event is about."""
    body = Fields(single)
    return body.aside("data").aside("filter").id("user_id") or body.id("for_user_id") or ""


def _singles(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield each event as a body of its own.

    Direct messages of the newer format come in an envelope around the older one.
    """
    if "data" not in body:
        yield from account_activity.singles(body)
        return
    data = body["data"]
    for one in data if isinstance(data, list) else [data]:
        found = one.get("payload") if isinstance(one, dict) else None
        if isinstance(found, dict) and account_activity.has_events(found):
            named = one.get("filter")
            company = named.get("user_id") if isinstance(named, dict) else None
            yield from account_activity.singles({**found, "for_user_id": company})
        else:
            yield {"data": one}
