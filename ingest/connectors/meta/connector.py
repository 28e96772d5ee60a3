"""The connector: signature, handshake, and the splitting of a request into single events.

Source: https://developers.facebook.com/docs/graph-api/webhooks/getting-started (handshake;
signature: HMAC-SHA256 with the app's secret over the raw body, hex behind `sha256=` in
`X-Hub-Signature-256`; entries).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from pydantic import Field

from ingest.connector import Context, Options, Reply, Request, Result, WebhookConnector, secrets
from ingest.connectors.meta import calls, changes, messaging, whatsapp
from ingest.connectors.meta.account import KINDS, Account
from ingest.connectors.meta.parts import Lists, singles
from ingest.kit.fields import (
    MARKETING,
    Fields,
    Payload,
    each,
    finish,
    without_own,
)
from ingest.kit.signing import HEX, RequiredSecrets, is_named_hmac_of, is_one_of, query_value
from schemas.rejection import Rejection

SIGNATURE = "x-hub-signature-256"
#: Lists of an entry, in the order in which they are read. `standby`: events for a page's other app.
_LISTS: Lists = {"messaging": {}, "standby": {}, "calls": {}, "changes": {}}
_NAMES = {"event_id": "id", "occurred_at": "timestamp"}
_NOBODY = "entry: names no customer (none at all, or only the company's own account)"


class MetaOptions(Options):
    """`app_secret`: the secret of the app, in its basic settings. `verify_token`: the text that you
    type into the webhook's field of that name; Meta shows it in the handshake.

    `purpose`: the consent purpose of messages, which customers opt in to and out of. `accounts`:
    ids of the company's pages and accounts, none of which is a customer of another.
    """

    app_secret: RequiredSecrets
    verify_token: RequiredSecrets
    accounts: tuple[str, ...] = ()
    purpose: str = Field(MARKETING, min_length=1, max_length=512)


class Meta(WebhookConnector):
    """The webhooks of an app of Meta: its pages, Instagram and WhatsApp accounts."""

    name: ClassVar[str] = "meta"
    doc: ClassVar[str] = "Social: comments, mentions, messages of Facebook, Instagram and WhatsApp"
    options: ClassVar[type[Options]] = MetaOptions

    def __init__(self, options: MetaOptions) -> None:
        self._secrets = secrets(options.app_secret)
        self._tokens = secrets(options.verify_token)
        self._purpose = options.purpose
        # Numbers are written without their plus, as Meta writes them, or with it.
        self._accounts = frozenset(options.accounts) | {f"+{one}" for one in options.accounts}

    def verify(self, request: Request, received_ms: int) -> bool:
        """Return True if a secret of ours signed the body; the older SHA-1 one does not count."""
        shown = request.headers.get(SIGNATURE, "")
        return is_named_hmac_of(request.body, shown, self._secrets, HEX)

    def handshake(self, request: Request) -> Reply:
        """Return the challenge to whoever knows the verify token."""
        mode, token, challenge = (
            query_value(request.query, f"hub.{name}") or ""
            for name in ("mode", "verify_token", "challenge")
        )
        shown = token.encode("utf-8", "replace")
        if is_one_of(shown, self._tokens) and mode == "subscribe" and challenge:
            return Reply(200, challenge.encode("utf-8", "replace"))
        return Reply(403)

    def parse(self, request: Request, context: Context) -> Iterator[Result]:
        """Yield the events of all entries of the request."""
        body = request.json
        if isinstance(body, Rejection):
            yield body
            return
        entries = body.get("entry") if isinstance(body, dict) else None
        if not isinstance(body, dict) or not isinstance(entries, list):
            yield Rejection("unreadable", "entry: must be a list of entries", request.body)
            return
        if body.get("object") not in tuple(KINDS):
            detail = f"object: must be one of {', '.join(KINDS)}; others are not taken"
            yield Rejection("unsupported", detail, request.body)
            return
        single = [
            {"object": body["object"], "entry": [part]}
            for entry in entries
            for part in _parts(entry)
        ]
        yield from each(single, request.body, context, self._event)

    def around(self, request: Request) -> tuple[bytes, bytes]:
        """Return empty bytes: each event is stored as a whole body, with entry and object."""
        return b"", b""

    def _event(self, single: dict[str, Any], payload: Payload) -> Result:
        (raw,) = single["entry"]
        if not isinstance(raw, dict):
            return Rejection("invalid", "entry: must be an object", payload())
        entry = Fields(raw, "entry.")
        kind = KINDS[single["object"]]
        page = entry.id("id") or entry.inside("recipient").id("id") or ""
        account = Account(kind, page, entry.instant("time"), self._purpose)
        name = next((name for name in _LISTS if name in entry), None)
        if name is not None:
            read = entry.first(name)
        elif "sender" in entry:
            # An answer about calls comes as the entry itself.
            name, read = "messaging", entry
        else:
            detail = "entry: holds neither messaging nor changes"
            return Rejection("unsupported", detail, payload())
        fields = self._fields(name, kind, read, account)
        fields["identifiers"] = without_own(fields["identifiers"], self._accounts | {page})
        return finish({"channel": "social", **fields}, read.problems, payload, _NAMES, _NOBODY)

    def _fields(self, name: str, kind: str, read: Fields, account: Account) -> dict[str, Any]:
        if name == "calls":
            return calls.fields(read, account)
        if name != "changes":
            return messaging.fields(read, account, standby=name == "standby")
        if kind == "whatsapp":
            return whatsapp.fields(read, account)
        return changes.fields(read, account)


def _parts(entry: object) -> Iterator[object]:
    """Yield the entry once for each of its events, as an entry that holds only this one."""
    if not isinstance(entry, dict):
        yield entry
        return
    for one in singles(entry, _LISTS):
        changes = one.get("changes")
        if isinstance(changes, list):
            yield from ({**one, "changes": [part]} for part in whatsapp.parts(changes[0]))
        else:
            yield one
