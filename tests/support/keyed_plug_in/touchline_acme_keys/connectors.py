"""A connector that declares paths of its own, and one that has nothing but a key."""

from __future__ import annotations

from collections.abc import Iterator

from ingest.connector import Context, Options, Reply, Request, Result, WebhookConnector, secrets
from ingest.kit.fields import Payload, finish, identifiers, single_event
from ingest.kit.keyed import Cors, Document, KeyedWebhook, Route
from ingest.kit.signing import RequiredSecrets


class AcmeOptions(Options):
    """`key`: what the senders show."""

    key: RequiredSecrets


def _touch(event: dict[str, object], payload: Payload) -> Result:
    fields = {
        "event_id": event.get("id"),
        "channel": "event",
        "type": "bell_rung",
        "identifiers": identifiers(("email", str(event["who"]) if "who" in event else None)),
    }
    return finish(fields, [], payload, nobody="who: is missing")


class AcmeSdk(KeyedWebhook):
    """An SDK that calls fixed paths and shows its key in a header."""

    name = "acme_sdk"
    doc = "For tests: an SDK with a key"
    options = AcmeOptions
    routes = (
        Route("/acme/v2/events", reply=Reply(202, b"thanks")),
        Route("/acme/{tenant}/beacon", "/acme/v2/events"),
    )
    documents = (Document("/acme/config/{key}", lambda caller: {"source": caller.source}),)
    cors = Cors(("POST",), ("X-Acme-Key",))

    def __init__(self, options: AcmeOptions) -> None:
        super().__init__(secrets(options.key))

    @classmethod
    def head_key(cls, request: Request) -> bytes | None:
        return request.headers.get("x-acme-key", "").encode() or None

    def parse(self, request: Request, context: Context) -> Iterator[Result]:
        assert request.path == "/acme/v2/events"
        yield single_event(request, _touch)


class AcmeBell(WebhookConnector):
    """A sender that shows its key in a header or in the body, at an address of its own."""

    name = "acme_bell"
    doc = "For tests: a webhook with a key"
    options = AcmeOptions

    def __init__(self, options: AcmeOptions) -> None:
        self._keys = secrets(options.key)

    @classmethod
    def key(cls, request: Request) -> bytes | None:
        shown = request.headers.get("x-bell-key")
        if shown is None and isinstance(request.json, dict):
            shown = str(request.json.get("key", ""))
        return shown.encode() if shown else None

    def keys(self) -> tuple[bytes, ...]:
        return self._keys

    def verify(self, request: Request, received_ms: int) -> bool:
        return self.key(request) in self._keys

    def parse(self, request: Request, context: Context) -> Iterator[Result]:
        yield single_event(request, _touch)

    def handshake(self, request: Request) -> Reply | None:
        return Reply(200, b"hello")
