"""The schemes of signatures, against libraries of others where there are any."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import BasicAuth
from pydantic import ValidationError
from standardwebhooks import Webhook, WebhookVerificationError
from stripe import WebhookSignature

from ingest.connector import Request
from ingest.connectors.mapped.connector import MappedOptions
from ingest.testing.values import RECEIVED_MS, URL
from schemas.times import DAY_MS
from tests.ingest.connectors.mapped.mappings import MINIMAL, make

BODY = '{"email": "花子@example.com"}'.encode()
NOW = RECEIVED_MS // 1000


def request(headers: dict[str, str], body: bytes = BODY, query: str = "") -> Request:
    url = f"{URL}/hooks/source" + (f"?{query}" if query else "")
    return Request("POST", "/hooks/source", query, url, headers, body)


def holds(signature: dict[str, Any], shown: Request, received_ms: int = RECEIVED_MS) -> bool:
    return make(MINIMAL, signature).verify(shown, received_ms)


def digest(content: bytes, secret: str = "s", algorithm: str = "sha256") -> bytes:
    return hmac.new(secret.encode(), content, algorithm).digest()


# HMAC


@pytest.mark.parametrize("algorithm", ["sha256", "sha1", "sha512"])
@pytest.mark.parametrize("encoding", ["hex", "base64"])
@pytest.mark.parametrize("prefix", ["", "sha256=", "v0:"])
def test_an_hmac_of_the_body(algorithm: str, encoding: str, prefix: str):
    signature = {
        "scheme": "hmac", "header": "X-Sign", "secret": ["new", "s"],
        "algorithm": algorithm, "encoding": encoding, "prefix": prefix,
    }  # fmt: skip
    raw = digest(BODY, "s", algorithm)
    text = raw.hex() if encoding == "hex" else base64.b64encode(raw).decode()
    assert holds(signature, request({"x-sign": prefix + text}))
    assert not holds(signature, request({"x-sign": prefix + text}, BODY + b" "))
    assert not holds({**signature, "secret": "new"}, request({"x-sign": prefix + text}))
    assert not holds(signature, request({"x-other": prefix + text}))
    other = "base64" if encoding == "hex" else "hex"
    assert not holds({**signature, "encoding": other}, request({"x-sign": prefix + text}))
    if prefix:
        assert not holds(signature, request({"x-sign": text}))


def test_hexadecimal_digits_may_be_capitals():
    signature = {"scheme": "hmac", "header": "X-Sign", "secret": "s"}
    assert holds(signature, request({"x-sign": digest(BODY).hex().upper()}))


STRIPE_LIKE = {
    "scheme": "hmac", "header": "X-Sign", "field": "v1", "secret": "s",
    "timestamp": {"field": "t"},
}  # fmt: skip


def test_fields_in_a_header_as_stripes_library_writes_them():
    header = WebhookSignature.generate_signature_header(BODY.decode(), "s", NOW)
    assert holds(STRIPE_LIKE, request({"x-sign": header}))
    assert holds(STRIPE_LIKE, request({"x-sign": header.replace(",", ", v1=00, ")}))
    assert not holds(STRIPE_LIKE, request({"x-sign": header.replace("v1=", "v0=")}))
    assert not holds(STRIPE_LIKE, request({"x-sign": header.replace(str(NOW), str(NOW + 1))}))
    assert not holds(STRIPE_LIKE, request({"x-sign": header.partition(",")[2]}))
    spaced = {
        **STRIPE_LIKE,
        "separator": ";",
        "timestamp": {"field": "ts", "signed": "{timestamp}:{body}"},
    }
    shown = f"ts={NOW};v1={digest(f'{NOW}:'.encode() + BODY).hex()}"
    assert holds(spaced, request({"x-sign": shown}))


def test_a_time_in_a_header_of_its_own_and_any_text_around_it():
    signature = {
        "scheme": "hmac", "header": "X-Slack-Signature", "prefix": "v0=", "secret": "s",
        "timestamp": {"header": "X-Slack-Request-Timestamp", "signed": "v0:{timestamp}:{body}"},
    }  # fmt: skip
    shown = "v0=" + digest(f"v0:{NOW}:".encode() + BODY).hex()
    headers = {"x-slack-signature": shown, "x-slack-request-timestamp": str(NOW)}
    assert holds(signature, request(headers))
    assert not holds(signature, request({**headers, "x-slack-request-timestamp": str(NOW - 1)}))
    del headers["x-slack-request-timestamp"]
    assert not holds(signature, request(headers))


def test_the_address_may_be_signed_too():
    timestamp = {
        "header": "X-Time",
        "format": "epoch_ms",
        "signed": "{method}{url}{body}{timestamp}",
    }
    signature = {"scheme": "hmac", "header": "X-Sign", "secret": "s", "timestamp": timestamp}
    url = f"{URL}/hooks/source?a=1"
    shown = digest(f"POST{url}".encode() + BODY + f"{RECEIVED_MS}".encode()).hex()
    headers = {"x-sign": shown, "x-time": str(RECEIVED_MS)}
    assert holds(signature, request(headers, query="a=1"))
    assert not holds(signature, request(headers, query="a=2"))


@pytest.mark.parametrize(
    ("form", "written"),
    [
        ("epoch_s", lambda ms: str(ms // 1000)),
        ("epoch_ms", str),
        ("rfc3339", lambda ms: datetime.fromtimestamp(ms / 1000, UTC).isoformat()),
    ],
)
def test_a_signature_may_be_three_days_old(form: str, written: Any):
    for age_ms, valid in ((0, True), (3 * DAY_MS, True), (3 * DAY_MS + 1000, False)):
        for ms in (RECEIVED_MS - age_ms, RECEIVED_MS + age_ms):
            text = written(ms)
            signature = {**STRIPE_LIKE, "timestamp": {"field": "t", "format": form}}
            shown = f"t={text},v1={digest(f'{text}.'.encode() + BODY).hex()}"
            assert holds(signature, request({"x-sign": shown})) is valid
    assert not holds({**signature, "max_age_days": 0.01}, request({"x-sign": shown}))


@pytest.mark.parametrize(
    "text", ["", "now", "-5", "１７９５", "9" * 5000, "1795147200.5", " 1", "é"]
)
@pytest.mark.parametrize("form", ["epoch_s", "epoch_ms", "rfc3339"])
def test_a_strange_time_is_refused(text: str, form: str):
    signature = {**STRIPE_LIKE, "timestamp": {"field": "t", "format": form}}
    shown = f"t={text},v1={digest(f'{text}.'.encode() + BODY).hex()}"
    assert not holds(signature, request({"x-sign": shown}))


# Standard Webhooks

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_" + base64.b64encode(b"another secret of 24 byte").decode()
STANDARD = {"scheme": "standard-webhooks", "secret": SECRET}


def standard(secret: str = SECRET, seconds: int = NOW, prefix: str = "webhook") -> dict[str, str]:
    moment = datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
    return {
        f"{prefix}-id": "msg_1",
        f"{prefix}-timestamp": str(seconds),
        f"{prefix}-signature": Webhook(secret).sign("msg_1", moment, BODY.decode()),
    }


def test_what_the_official_library_signs_passes():
    assert holds(STANDARD, request(standard()))
    assert holds({**STANDARD, "secret": [OTHER, SECRET]}, request(standard()))
    assert holds({**STANDARD, "secret": SECRET.removeprefix("whsec_")}, request(standard()))
    assert holds({**STANDARD, "prefix": "svix"}, request(standard(prefix="svix")))
    assert not holds(STANDARD, request(standard(OTHER)))
    assert not holds(STANDARD, request(standard(), BODY + b" "))
    assert not holds(STANDARD, request(standard(prefix="svix")))


def test_the_vector_of_the_specification():
    """https://github.com/standard-webhooks/standard-webhooks: the test of every library."""
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    shown = request(headers, b'{"test": 2432232314}')
    assert holds(STANDARD, shown, 1_614_265_330_000)
    assert not holds(STANDARD, shown, 1_614_265_330_000 + 4 * DAY_MS)


@pytest.mark.parametrize(
    "shown",
    [
        "{good}",
        "v1,{bad} {good}",
        "{good} v1,{bad}",
        "v1a,{bad} {good} v2,x",
        "v1,{bad}",
        "v2,{raw}",
        "{raw}",
        "",
    ],
)
def test_several_signatures_are_read_as_the_official_library_reads_them(shown: str):
    now = int(time.time())  # The library takes the age from the real clock.
    headers = standard(seconds=now)
    good = headers["webhook-signature"]
    bad = base64.b64encode(digest(BODY, "x")).decode()
    headers["webhook-signature"] = shown.format(good=good, bad=bad, raw=good.removeprefix("v1,"))
    try:
        Webhook(SECRET).verify(BODY, headers)
        theirs = True
    except (WebhookVerificationError, ValueError):
        theirs = False
    assert holds(STANDARD, request(headers), now * 1000) is theirs


@pytest.mark.parametrize("header", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_every_header_is_needed_and_signed(header: str):
    headers = standard()
    for changed in ("", "1", headers[header] + "0"):
        assert not holds(STANDARD, request({**headers, header: changed}))
    assert not holds(STANDARD, request({n: v for n, v in headers.items() if n != header}))


# Tokens and passwords


@pytest.mark.parametrize(
    ("place", "headers", "query", "valid"),
    [
        ({"header": "X-Token"}, {"x-token": "s"}, "", True),
        ({"header": "X-Token"}, {"x-token": "S"}, "", False),
        ({"header": "X-Token"}, {"authorization": "Bearer s"}, "", False),
        ({"bearer": True}, {"authorization": "bearer s"}, "", True),
        ({"bearer": True}, {"authorization": "Basic s"}, "", False),
        ({"bearer": True}, {"authorization": "s"}, "", False),
        ({"query": "key"}, {}, "a=1&key=s", True),
        ({"query": "key"}, {}, "key=t&key=s", False),
        ({"query": "key"}, {}, "key=", False),
        ({"query": "key"}, {}, "&".join(["a=1"] * 200) + "&key=s", False),
    ],
)
def test_a_token(place: dict[str, Any], headers: dict[str, str], query: str, valid: bool):
    signature = {"scheme": "token", "secret": ["new", "s"], **place}
    assert holds(signature, request(headers, query=query)) is valid


def test_a_name_and_a_password():
    signature = {"scheme": "basic", "user": "acme", "password": ["new", "päss:word"]}
    for user, password, valid in (
        ("acme", "päss:word", True),
        ("acme", "new", True),
        ("acme", "old", False),
        ("other", "new", False),
    ):
        header = BasicAuth(user, password, "utf-8").encode()
        assert holds(signature, request({"authorization": header})) is valid
    for header in ("", "Basic", "Basic !!!", "Bearer new"):
        assert not holds(signature, request({"authorization": header}))


# The options


@pytest.mark.parametrize(
    ("signature", "reason"),
    [
        ({}, "discriminator"),
        ({"scheme": "rsa"}, "expected tags"),
        ({"scheme": "hmac", "header": "X"}, "Field required"),
        ({"scheme": "hmac", "header": "X y", "secret": "s"}, "pattern"),
        ({"scheme": "hmac", "header": "X", "secret": ""}, "must not be empty"),
        ({**STRIPE_LIKE, "field": None}, "field is missing"),
        ({**STRIPE_LIKE, "timestamp": {}}, "expected header, or field"),
        ({**STRIPE_LIKE, "timestamp": {"field": "t", "header": "X"}}, "expected header, or field"),
        (
            {**STRIPE_LIKE, "timestamp": {"field": "t", "signed": "{body}"}},
            "{timestamp} and {body}",
        ),
        ({**STRIPE_LIKE, "timestamp": {"field": "t", "signed": "{timestamp}"}}, "and {body}"),
        ({**STRIPE_LIKE, "timestamp": {"field": "t", "signed": "{time}{body}"}}, "signed may hold"),
        ({**STRIPE_LIKE, "max_age_days": 0}, "greater than 0"),
        ({"scheme": "token", "secret": "s"}, "expected one of header, query and bearer"),
        ({"scheme": "token", "secret": "s", "query": "a", "bearer": True}, "expected one of"),
        ({"scheme": "basic", "user": "a:b", "password": "s"}, "pattern"),
        ({"scheme": "standard-webhooks", "secret": "whsec_?"}, "must be whsec_ and base64"),
        ({"scheme": "standard-webhooks", "secret": "whsec_"}, "must be whsec_ and base64"),
        ({"scheme": "standard-webhooks", "secret": [SECRET, "ü"]}, "must be whsec_ and base64"),
    ],
)
def test_wrong_options_are_refused(signature: dict[str, Any], reason: str):
    with pytest.raises(ValidationError) as error:
        MappedOptions.model_validate({"signature": signature, "mapping": MINIMAL})
    assert reason in str(error.value)


def test_a_header_that_holds_the_signature_is_not_read():
    rules = {**MINIMAL, "subject": "header('X-Sign')"}
    with pytest.raises(ValidationError, match="holds a secret"):
        make(rules, {"scheme": "hmac", "header": "x-sign", "secret": "s"})
    with pytest.raises(ValidationError, match="holds a secret"):
        make({**MINIMAL, "subject": "header('Authorization')"})
    read = make({**MINIMAL, "subject": "header('X-Topic')"}).reads
    assert read == ("content-type", "x-topic")


def test_sha1_is_hashlibs():
    """A vector of RFC 2202."""
    signature = {"scheme": "hmac", "header": "x", "secret": "Jefe", "algorithm": "sha1"}
    shown = "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"
    body = b"what do ya want for nothing?"
    assert holds(signature, request({"x": shown}, body))
    assert hashlib.sha1(body).hexdigest() != shown
