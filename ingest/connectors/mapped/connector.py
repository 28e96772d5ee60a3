"""A webhook without code: a mapping of JMESPath expressions from any body to touchpoints."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping as Map
from typing import Any, ClassVar, Self

from pydantic import AliasChoices, Field, model_validator

from ingest.connector import (
    Context,
    Options,
    Reply,
    Request,
    Result,
    WebhookConnector,
    json_bytes,
)
from ingest.connectors.mapped import catalogue
from ingest.connectors.mapped.body import opened
from ingest.connectors.mapped.conversion import Conversion
from ingest.connectors.mapped.expression_analysis import Path, list_path
from ingest.connectors.mapped.expressions import ExpressionError, Scope, at, scalar
from ingest.connectors.mapped.rules import Mapping
from ingest.connectors.mapped.signatures import Signature, stand_ins
from ingest.kit.fields import Payload, each, guarded
from schemas.rejection import Rejection

#: Headers with keys, which no expression may read: what it reads is stored with a refusal.
_SECRET_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization"})


class MappedOptions(Options):
    """`preset`: a provider that is known, whose scheme and mapping the others complete.

    `signature`: how the sender authenticates itself (`scheme`: hmac, token, basic or
    standard-webhooks). `mapping`: the conversion of each event, or the YAML file with it.
    """

    preset: str | None = None
    signature: Signature
    mapping: Mapping = Field(validation_alias=AliasChoices("mapping", "map"))

    @model_validator(mode="before")
    @classmethod
    def _completed(cls, given: Any) -> Any:
        return catalogue.completed(given) if isinstance(given, dict) else given

    @classmethod
    def with_stand_ins(cls, given: Map[str, Any]) -> dict[str, Any]:
        """See `Options`: a preset's secrets too."""
        name = given.get("preset")
        if "signature" in given or name not in catalogue.names():
            return super().with_stand_ins(given)
        return {**given, "signature": stand_ins(catalogue.load(str(name)).signature)}

    @model_validator(mode="after")
    def _reads_no_secret(self) -> Self:
        headers, _ = self.mapping.asked()
        if secret := headers & (_SECRET_HEADERS | self.signature.headers()):
            raise ValueError(f"header('{min(secret)}') in mapping: holds a secret")
        return self


class Mapped(WebhookConnector):
    """Any provider's webhook with a body in JSON or a form."""

    name: ClassVar[str] = "mapped"
    doc: ClassVar[str] = "Anything: a webhook without code, by a mapping in YAML"
    options: ClassVar[type[Options]] = MappedOptions

    @classmethod
    def presets(cls) -> dict[str, str]:
        """See `PresetConnector`."""
        return {name: catalogue.load(name).doc for name in catalogue.names()}

    def __init__(self, options: MappedOptions) -> None:
        self._options = options
        self._body = options.mapping.body
        self._events = options.mapping.events
        self._conversion = Conversion(options.mapping)
        headers, self._bodies = options.mapping.asked()
        # The mapping decides what is read, so this belongs to the source and not to the class.
        self.reads = ("content-type", *sorted(headers))  # type: ignore[misc]
        self._list = () if self._events is None else list_path(self._events.node)

    def verify(self, request: Request, received_ms: int) -> bool:
        """Return True if the request is signed as the option `signature` says."""
        return self._options.signature.holds(request, received_ms)

    def parse(self, request: Request, context: Context) -> Iterator[Result]:
        """Yield the events of the request, in their order."""
        body = opened(request, self._body)
        if isinstance(body, Rejection):
            yield body
            return
        scope = Scope(request.headers, body)
        try:
            found = body if self._events is None else self._events.search(body, scope)
        except ExpressionError as error:
            yield Rejection("unreadable", f"events: {error}", request.body)
            return
        except RecursionError:
            yield Rejection("unreadable", "events: the body is nested too deeply", request.body)
            return

        def convert(event: dict[str, Any], payload: Payload) -> Result:
            stored = payload if self._list is not None else lambda: request.body
            return self._conversion.touch(event, stored, scope, context.source)

        if found is body and isinstance(found, dict):
            yield guarded(convert, found, lambda: request.body)
        elif isinstance(found, list | dict):
            events = found if isinstance(found, list) else [found]
            yield from each(events, request.body, context, convert)
        else:
            where = "the body" if self._events is None else "events"
            detail = f"{where}: must be a list of events, or one event as an object"
            yield Rejection("unreadable", detail, request.body)

    def handshake(self, request: Request) -> Reply:
        """Return 200: Mandrill, Mailchimp and others first ask if the address is there."""
        return Reply()

    def around(self, request: Request) -> tuple[bytes, bytes] | None:
        """Return the list around an event, what is above it and what expressions read of the body.

        None if `events` does more than name a list: then the whole body is stored.
        """
        if self._list is None:
            return None
        body = opened(request, self._body)
        envelope: dict[str, Any] = {}
        for path in self._bodies:
            value = scalar(at(body, path))
            if value is not None:
                _put(envelope, path, value)
        return _around(envelope, self._list)


def _put(envelope: dict[str, Any], path: Path, value: object) -> None:
    *above, last = path
    for name in above:
        envelope = envelope.setdefault(name, {})
    envelope[last] = value


def _around(envelope: dict[str, Any], path: Path) -> tuple[bytes, bytes]:
    """Return the bytes around an event: this envelope, and at a path the event's list."""
    if not path:
        return b"[", b"]"
    others = {name: value for name, value in envelope.items() if name != path[0]}
    before, after = _around(envelope.get(path[0]) or {}, path[1:])
    head = json_bytes(others)[:-1] + (b"," if others else b"")
    return head + json_bytes(path[0]) + b":" + before, after + b"}"
