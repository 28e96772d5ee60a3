"""The contract suite over several mappings: those of the page, and others."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import datetime
from typing import Any, ClassVar

from standardwebhooks import Webhook

from ingest.connector import Request
from ingest.connectors.mapped.connector import Mapped, MappedOptions
from ingest.connectors.mapped.contract import NOW, MappedContract
from ingest.testing.suite import ConnectorSuite
from ingest.testing.values import with_field
from tests.ingest.connectors.mapped.mappings import FILTERED, LIST, PAYLOADS, make, mapping, post
from tests.ingest.connectors.mapped.page import last_files

TYPEFORM = last_files("From an example to live data")
CALENDLY = last_files("Several kinds of events: Calendly")
RESEND = last_files("Presets")


def source(files: dict[str, str], *secrets: str) -> Mapped:
    """The source of a page's `touchline.yaml`, with these secrets."""
    (options,) = mapping(files["touchline.yaml"])["sources"].values()
    given = {name: value for name, value in options.items() if name != "connector"}
    if isinstance(given.get("mapping"), str):
        given["mapping"] = mapping(files[given["mapping"]])
    given["signature"] = {**given["signature"], "secret": list(secrets)}
    return Mapped(MappedOptions.model_validate(given))


class TestMapped(MappedContract):
    pass


class MappedSuite(ConnectorSuite):
    name = "mapped"


class TestTypeform(MappedSuite):
    """A body signed by HMAC, base64 behind a prefix."""

    payloads: ClassVar = {"response": json.loads(TYPEFORM["typeform.json"])}

    def make(self, *secrets: str) -> Mapped:
        return source(TYPEFORM, *secrets)

    def signed(self, body: bytes, secret: str, name: str = "") -> Request:
        digest = hmac.new(secret.encode(), body, hashlib.sha256).digest()
        return post(body, typeform_signature=f"sha256={base64.b64encode(digest).decode()}")


class TestCalendly(MappedSuite):
    """A time and a signature in one header."""

    payloads: ClassVar = {
        "canceled": json.loads(CALENDLY["calendly.json"]),
        "created": {**json.loads(CALENDLY["calendly.json"]), "event": "invitee.created"},
    }

    def make(self, *secrets: str) -> Mapped:
        return source(CALENDLY, *secrets)

    def signed(self, body: bytes, secret: str, name: str = "") -> Request:
        signed = f"{NOW}.".encode() + body
        digest = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
        return post(body, calendly_webhook_signature=f"t={NOW},v1={digest}")


class TestResend(MappedSuite):
    """Standard Webhooks; the event's id is in a header."""

    payloads: ClassVar = {"clicked": json.loads(RESEND["resend.json"])}
    secrets = (
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "whsec_bm90LWEtcmVhbC1zZWNyZXQtb2Ytb3Vycw==",
        "whsec_c29tZWJvZHktZWxzZSdzLXNlY3JldC1rZXk=",
    )

    def make(self, *secrets: str) -> Mapped:
        return source(RESEND, *secrets)

    def signed(self, body: bytes, secret: str, name: str = "") -> Request:
        # The library takes text; what is not UTF-8 it could not sign.
        text = body.decode("utf-8", "replace")
        signature = Webhook(secret).sign("msg_1", datetime.fromtimestamp(NOW), text)
        shown = signature.split(",")[1] if text.encode() == body else self._sign(body, secret)
        headers = {"svix_id": "msg_1", "svix_timestamp": str(NOW)}
        return post(body, **headers, svix_signature=f"v1a,x v1,{shown}")

    def _sign(self, body: bytes, secret: str) -> str:
        key = base64.b64decode(secret.removeprefix("whsec_"))
        digest = hmac.new(key, f"msg_1.{NOW}.".encode() + body, hashlib.sha256).digest()
        return base64.b64encode(digest).decode()


class _Token(MappedSuite):
    """A key is all there is."""

    signs_body = False
    text: ClassVar[str]

    def make(self, *secrets: str) -> Mapped:
        signature = {"scheme": "token", "header": "X-Token", "secret": list(secrets)}
        return make(mapping(self.text), signature)

    def signed(self, body: bytes, secret: str, name: str = "") -> Request:
        return post(body, x_token=secret)


class TestList(_Token):
    """The body is the list."""

    text = LIST
    payloads: ClassVar = {"list": PAYLOADS["list"]}
    ids = ("*.id",)


class TestFiltered(_Token):
    """Events that an expression picks: the whole body is kept."""

    text = FILTERED
    payloads: ClassVar = {"filtered": PAYLOADS["filtered"]}

    def with_extra(self, value: Any) -> Any:
        return {**value, "messages": with_field(value["messages"])}
