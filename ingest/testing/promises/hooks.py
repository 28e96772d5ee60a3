"""The hooks of the suite for webhooks: what a contract says of its provider."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from ingest.connector import Context, Request, Result, WebhookConnector
from ingest.intake.accept import Accepted, SourcePolicy
from ingest.intake.evaluate import evaluate
from ingest.intake.limits import Limits
from ingest.intake.source import ReadableSource
from ingest.testing.mutations import STAND_IN, Path, scalars, spread
from ingest.testing.values import RECEIVED_MS, WRONG, accepted, with_field
from schemas.rejection import Rejection
from schemas.touchpoint import Touchpoint


class Hooks:
    """The hooks of a suite for webhooks, with safe defaults, and what its promises share."""

    #: Name of the connector's entry point.
    name: ClassVar[str]
    payloads: ClassVar[dict[str, Any]]
    #: Names of secrets: of the source, its second one, and one of another source.
    secrets: ClassVar[tuple[str, str, str]] = (
        "first-secret-5Xw",
        "second-secret-8Lq",
        "foreign-3Tz",
    )
    #: True if the signature covers all of the body; False if only parts, or if there is only a key.
    signs_body: ClassVar[bool] = True
    #: True if the time is signed too, so that old requests are refused.
    signs_time: ClassVar[bool] = False
    #: ISO 3166 region of phone numbers in `payloads` that name no country.
    region: ClassVar[str | None] = None
    #: Values that are put in place of each value of the payloads.
    wrong_values: ClassVar[tuple[Any, ...]] = WRONG
    #: Most changes of payloads that a promise about all their places tries.
    changes: ClassVar[int] = 300
    #: Suites of the other forms in which the connector is used, by name: tested with this one.
    variants: ClassVar[Mapping[str, type[Hooks]]] = {}
    #: The company's own accounts in `payloads`, as (kind, value): no touch has one.
    own: ClassVar[tuple[tuple[str, str], ...]] = ()
    #: True if the provider says of everybody whether they are of the company: then the place of an
    #: account decides, and not the account.
    roles: ClassVar[bool] = False
    #: The list of events in a body, if what is kept of one does not tell: "data.events".
    events: ClassVar[str] = ""
    #: Fields that only help (a time of sending, a context, a name): a wrong one costs no touch.
    #: Keys with dots between, `*` for any key or index: "events.*.profile.name".
    optional: ClassVar[tuple[str, ...]] = ()
    #: The provider's own ids of an event, if `event_id` does not show them: without one, the id is
    #: derived, and differs wherever the event does.
    ids: ClassVar[tuple[str, ...]] = ()
    #: Fields that differ between deliveries of one event, in the same form: its id stays.
    redelivery: ClassVar[tuple[str, ...]] = ()
    #: Names of payloads, one of something new and one that takes it back; of a payload with several
    #: touches with the number of one behind, from 0: ("reactions[0]", "reactions[1]").
    undone: ClassVar[tuple[tuple[str, str], ...]] = ()

    def make(self, *secrets: str) -> WebhookConnector:
        """Return a connector whose source has these secrets."""
        raise NotImplementedError

    def signed(self, body: bytes, secret: str, name: str = "") -> Request:
        """Return the provider's request with a body. `name`: of the payload, if it is one."""
        raise NotImplementedError

    def unsigned(self, request: Request) -> Iterator[Request]:
        """Yield the request without its signature, in each way in which it may be missing."""
        for headers in ({}, {"content-type": request.headers.get("content-type", "")}):
            yield request._replace(headers=headers)

    def encode(self, value: Any) -> bytes:
        """Return the body of a payload."""
        return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")

    def with_extra(self, value: Any) -> Any:
        """Return a payload with a field that the connector does not know."""
        return with_field(value)

    # Helpers

    def request(self, value: Any, name: str = "") -> Request:
        """Return the signed request with a payload."""
        return self.signed(self.encode(value), self.secrets[0], name)

    def parse(self, request: Request, **context: Any) -> list[Result]:
        """Return what a new connector makes of a request."""
        connector = self.make(self.secrets[0])
        return list(connector.parse(request, Context("source", RECEIVED_MS, **context)))

    def requests(self) -> dict[str, Request]:
        """Return the signed requests with all payloads."""
        return {name: self.request(value, name) for name, value in self.payloads.items()}

    def touches(self, value: Any, name: str) -> list[Touchpoint]:
        """Return the touchpoints that a payload gives, without its rejections."""
        results = self.parse(self.request(value, name))
        return [result for result in results if isinstance(result, Touchpoint)]

    def leaves(self) -> list[tuple[str, Any, Path, Any]]:
        """Return places of texts and numbers: the payload's name, itself, path and value.

        They are not all, if there are many, but from all parts of all payloads.
        """
        found = [
            (name, value, path, leaf)
            for name, value in self.payloads.items()
            for path, leaf in scalars(value)
        ]
        return spread(found, self.changes)

    def verdicts(self, request: Request) -> list[Accepted | Rejection]:
        """Return the gateway's result for each event of a request."""
        source = ReadableSource(
            self.make(self.secrets[0]), SourcePolicy("source", region=self.region)
        )
        return list(evaluate(source, request, RECEIVED_MS, Limits()))

    def with_bytes(self, value: Any, name: str, content: bytes) -> Request | None:
        """Return the request with a payload whose stand-in becomes other bytes.

        None if the body does not show the stand-in as JSON text: it is a form, or encoded.
        """
        body = self.encode(value)
        stand_in = f'"{STAND_IN}"'.encode()
        if stand_in not in body:
            return None
        return self.signed(body.replace(stand_in, content), self.secrets[0], name)

    def people(self, request: Request) -> list[dict[str, list[str]]]:
        """Return the identifiers of each touchpoint of a request as they are published."""
        return [
            json.loads(verdict.value)["identifiers"]
            for result in self.parse(request)
            if isinstance(result, Touchpoint)
            and isinstance(verdict := accepted(result, self.region), Accepted)
        ]

    def known(self, value: Any, name: str) -> set[tuple[str, str]]:
        """Return the identifiers that a payload gives, as they came: (value, kind)."""
        return {(i.value, i.kind) for touch in self.touches(value, name) for i in touch.identifiers}
