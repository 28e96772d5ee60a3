"""Twilio's side: an HMAC of address and form fields; for JSON, of an address with its hash.

After https://www.twilio.com/docs/usage/webhooks/webhooks-security
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

from ingest.connector import Request
from ingest.connectors.twilio.connector import SIGNATURE, Twilio, TwilioOptions
from ingest.testing.suite import ConnectorSuite
from ingest.testing.values import URL, load

FORM = "application/x-www-form-urlencoded; charset=UTF-8"
ADDRESS = URL + "/hooks/phone"


def _request(url: str, text: str, secret: str, kind: str, body: bytes) -> Request:
    digest = hmac.new(secret.encode(), text.encode("utf-8", "replace"), hashlib.sha1).digest()
    headers = {"content-type": kind, SIGNATURE: base64.b64encode(digest).decode()}
    return Request("POST", "/hooks/phone", url.partition("?")[2], url, headers, body)


def signed(body: bytes, secret: str = "t", url: str = ADDRESS) -> Request:
    """Return the request with a form."""
    pairs = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
    fields = "".join(name + value for name, value in sorted(set(pairs)))
    return _request(url, url + fields, secret, FORM, body)


def signed_json(body: bytes, secret: str = "t", url: str = ADDRESS) -> Request:
    """Return the request with JSON."""
    url = f"{url}?bodySHA256={hashlib.sha256(body).hexdigest()}"
    return _request(url, url, secret, "application/json", body)


class TwilioContract(ConnectorSuite):
    """Calls and messages as forms; what is not one goes as JSON."""

    name = "twilio"
    payloads = load(Path(__file__).parent / "payloads")
    own = (("phone", "+815012345678"), ("facebook", "2000000000000001"))
    redelivery = ("RetryCount",)
    undone = (("conversation_message_of_customer", "conversation_message_edited"),)

    def make(self, *secrets: str) -> Twilio:
        return Twilio(TwilioOptions.model_validate({"auth_token": secrets}))

    def signed(self, body: bytes, secret: str, name: str = "") -> Request:
        return signed(body, secret) if name else signed_json(body, secret)

    def encode(self, value: Any) -> bytes:
        text = {k: v if isinstance(v, str) else json.dumps(v) for k, v in value.items()}
        return urlencode(text, errors="replace").encode()

    def request(self, value: Any, name: str = "") -> Request:
        return signed(self.encode(value), self.secrets[0])
