"""Amazon Connect's side: contact records, as a file has them or as Firehose delivers them.

After https://docs.aws.amazon.com/firehose/latest/dev/httpdeliveryrequestresponse.html
"""

from __future__ import annotations

import base64
import json
from pathlib import Path

from ingest.connector import Request
from ingest.connectors.amazon_connect.connector import AmazonConnect, AmazonConnectOptions
from ingest.kit.firehose import ACCESS_KEY
from ingest.testing.suite import ConnectorSuite
from ingest.testing.values import load, posted

REQUEST_ID = "ed4acda5-034f-9f42-bba1-f29aea6d7d8f"
DELIVERED_MS = 1_795_158_600_000


def shown(body: bytes, key: str = "s", headers: dict[str, str] | None = None) -> Request:
    """Return a request with a key, which is all there is: Firehose signs nothing."""
    return posted(body, {ACCESS_KEY: key, **(headers or {})})


def delivery(*data: bytes) -> bytes:
    """Return a body as Firehose makes it of records."""
    records = [{"data": base64.b64encode(one).decode()} for one in data]
    head = {"requestId": REQUEST_ID, "timestamp": DELIVERED_MS}
    return json.dumps({**head, "records": records}).encode()


class AmazonConnectContract(ConnectorSuite):
    """One contact record in a body."""

    name = "amazon_connect"
    payloads = load(Path(__file__).parent / "payloads")
    signs_body = False
    own = (("phone", "+81345670000"),)

    def make(self, *secrets: str) -> AmazonConnect:
        return AmazonConnect(AmazonConnectOptions.model_validate({"access_key": secrets}))

    def signed(self, body: bytes, secret: str, name: str = "") -> Request:
        return shown(body, secret)
