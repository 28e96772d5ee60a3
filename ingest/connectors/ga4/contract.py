"""The side of whoever uses Google's Measurement Protocol: an API secret in the query.

After https://developers.google.com/analytics/devguides/collection/protocol/ga4/reference
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from ingest.connector import Request
from ingest.connectors.ga4.connector import PATH, Ga4, Ga4Options
from ingest.testing.suite import ConnectorSuite
from ingest.testing.values import URL, load


def request(body: bytes, secret: str = "s", query: str | None = None) -> Request:
    """Return the request with a secret, or with another query."""
    query = f"measurement_id=G-1&api_secret={quote(secret)}" if query is None else query
    return Request("POST", PATH, query, f"{URL}{PATH}?{query}", {}, body)


class Ga4Contract(ConnectorSuite):
    """Events of a site and of an app."""

    name = "ga4"
    payloads = load(Path(__file__).parent / "payloads")
    signs_body = False
    optional = (
        "user_properties", "user_properties.*", "user_properties.*.value", "user_location",
        "device", "user_agent", "events.*.params.page_location", "events.*.params.page_title",
        "events.*.params.campaign",
    )  # fmt: skip

    def make(self, *secrets: str) -> Ga4:
        return Ga4(Ga4Options.model_validate({"api_secret": secrets}))

    def signed(self, body: bytes, secret: str, name: str = "") -> Request:
        return request(body, secret)

    def unsigned(self, request: Request) -> Iterator[Request]:
        for query in ("", "measurement_id=G-1", "api_secret=", "api_secret", "&".join("a" * 500)):
            yield request._replace(query=query)
