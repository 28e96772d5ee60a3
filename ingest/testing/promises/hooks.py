"""The hooks of the suite for webhooks: what a contract says of its provider."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, ClassVar

from ingest.connector import Context, Request, Result, WebhookConnector
from ingest.intake.accept import Accepted
from ingest.testing.values import RECEIVED_MS, accepted, with_field
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

    def people(self, request: Request) -> list[dict[str, list[str]]]:
        """Return the identifiers of each touchpoint of a request as they are published."""
        verdicts = [
            accepted(result, self.region)
            for result in self.parse(request)
            if isinstance(result, Touchpoint)
        ]
        return [
            json.loads(verdict.value)["identifiers"]
            for verdict in verdicts
            if isinstance(verdict, Accepted)
        ]

    def _known(self, value: Any, name: str) -> set[tuple[str, str]]:
        results = self.parse(self.request(value, name))
        touches = [result for result in results if isinstance(result, Touchpoint)]
        return {(i.value, i.kind) for touch in touches for i in touch.identifiers}
