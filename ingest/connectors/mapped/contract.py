"""The side of any sender: a mapping, and an HMAC of time and body; and of each preset's provider.

After docs/channels/mapped.md, and the documentation that each preset names.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlencode

import yaml

from ingest.connector import Request
from ingest.connectors.mapped import catalogue
from ingest.connectors.mapped.connector import Mapped, MappedOptions
from ingest.connectors.mapped.origin import expressions
from ingest.testing.suite import ConnectorSuite
from ingest.testing.values import MARK, RECEIVED_MS, URL, load, posted, with_field

SIGNATURE = "x-acme-signature"
SHOP = "x-shop"
NOW = RECEIVED_MS // 1000
#: Events in a list of the body, with something above it and in a header that all of them need.
MAPPING: dict[str, Any] = yaml.safe_load("""
events: data.items
prefix: acme
channel: phone
type:
  expr: kind
  table: {call: call_completed, purchase: order_completed}
event_id: join(':', [to_string(body('account.id')), header('X-Shop'), to_string(no)])
occurred_at: {expr: at, format: "%d.%m.%Y %H:%M", timezone: Asia/Tokyo}
identifiers:
  - {kind: phone, value: from}
  - {kind: email, value: mail}
rules:
  - when: kind == 'call'
    duration_s: {expr: ms, scale: 0.001}
    outcome: {expr: state, table: {"1": busy, "2": answered}}
    sentiment: {expr: rating, table: {"1": -1, "4": 0.5}}
    direction: {expr: dir, table: {in: inbound, out: outbound}}
    traits: {account: body('account.name')}
    properties: {rest: true, without: [agent.name]}
  - when: kind == 'Newsletter Signup'
    type: newsletter_joined
    channel: email
    consent: {marketing: {expr: optin, table: {"yes": true, "no": false}}}
    traits: custom
  - when: kind == 'purchase'
    channel: commerce
    value: {amount: {expr: cents, scale: 0.01}, currency: cur}
""")


def signed(body: bytes, secret: str = "s", time: int = NOW) -> Request:
    """Return the request of a sender that signs as Stripe and others do."""
    digest = hmac.new(secret.encode(), f"{time}.".encode() + body, hashlib.sha256).hexdigest()
    return posted(body, {SIGNATURE: f"t={time},v1={digest}", SHOP: "tokyo"})


class MappedContract(ConnectorSuite):
    """A list of calls, orders and newsletters in a body."""

    name = "mapped"
    payloads = load(Path(__file__).parent / "payloads")
    signs_time = True

    def make(self, *secrets: str) -> Mapped:
        signature = {
            "scheme": "hmac",
            "header": SIGNATURE,
            "field": "v1",
            "timestamp": {"field": "t"},
            "secret": secrets,
        }
        options = {"signature": signature, "mapping": MAPPING}
        return Mapped(MappedOptions.model_validate(options))

    def signed(self, body: bytes, secret: str, name: str = "") -> Request:
        return signed(body, secret)

    def with_extra(self, value: Any) -> Any:
        return {**value, "data": {**value["data"], "items": with_field(value["data"]["items"])}}


FORM = "application/x-www-form-urlencoded"
#: Secrets that every scheme takes: base64, as Standard Webhooks has them.
_SECRETS = ("Zmlyc3Qtc2VjcmV0LTVYdw==", "c2Vjb25kLXNlY3JldC04THE=", "Zm9yZWlnbi0zVHo=")
_USER = "touchline"
#: The company's own accounts in the payloads.
_OWN = (
    ("email", "shop@shop.example.com"),
    ("email", "help@shop.example.com"),
    ("phone", "+12065550100"),
)
#: Bytes that are not UTF-8 are kept, as Python's surrogates.
_BYTES = "surrogateescape"


@cache
def _options(name: str, secrets: tuple[str, ...]) -> MappedOptions:
    scheme = catalogue.load(name).signature["scheme"]
    signature: dict[str, Any] = {"secret": secrets}
    if scheme == "basic":
        signature = {"user": _USER, "password": secrets}
    return MappedOptions.model_validate({"preset": name, "signature": signature})


@cache
def _source(name: str, secrets: tuple[str, ...]) -> Mapped:
    """Return a source of a preset, made once: it keeps nothing of what it has read."""
    return Mapped(_options(name, secrets))


class PresetContract(ConnectorSuite):
    """The webhooks of a preset's provider, signed as its scheme says."""

    name = "mapped"
    secrets = _SECRETS
    preset: ClassVar[str]
    #: The scheme of the preset, with its parameters.
    scheme: ClassVar[dict[str, Any]]
    #: The form of its bodies: as `body` in a mapping.
    body: ClassVar[Any]
    # The connector is measured, and all values are tried, with its own contract.
    changes = 50
    wrong_values: ClassVar = (None, -1, MARK, {"a": MARK})
    test_throughput: ClassVar[None] = None  # type: ignore[assignment]

    def make(self, *secrets: str) -> Mapped:
        return _source(self.preset, secrets)

    def encode(self, value: Any) -> bytes:
        if isinstance(self.body, dict):
            return urlencode({self.body["form"]: json.dumps(value, ensure_ascii=False)}).encode()
        if self.body == "form":
            return urlencode(value).encode()
        return super().encode(value)

    def signed(self, body: bytes, secret: str, name: str = "") -> Request:
        content_type = "application/json" if self.body in (None, "json") else FORM
        request = posted(body, {"content-type": content_type})
        scheme = {**self.scheme, "id": name or "message"}
        return _SIGNERS[self.scheme["scheme"]](request, scheme, secret)

    def unsigned(self, request: Request) -> Iterator[Request]:
        for without in super().unsigned(request):
            yield without._replace(query="", url=without.url.partition("?")[0])


def _hmac_signed(request: Request, scheme: dict[str, Any], secret: str) -> Request:
    time = scheme.get("timestamp", {})
    units = {"epoch_s": str(NOW), "epoch_ms": str(RECEIVED_MS), "rfc3339": "2026-11-20T08:00:00Z"}
    now = units[time.get("format", "epoch_s")]
    text = time.get("signed", "{timestamp}.{body}") if time else scheme.get("signed", "{body}")
    parts = {
        "{timestamp}": now.encode(),
        "{body}": request.body,
        "{form}": _sorted_fields(request.body) if "{form}" in text else b"",
        "{url}": request.url.encode(),
        "{method}": b"POST",
    }
    content = text.encode()
    for placeholder, part in parts.items():
        content = part.join(content.split(placeholder.encode(), 1))
    digest = hmac.digest(secret.encode(), content, scheme.get("algorithm", "sha256"))
    is_hex = scheme.get("encoding", "hex") == "hex"
    shown = scheme.get("prefix", "")
    shown += digest.hex() if is_hex else base64.b64encode(digest).decode()
    headers = {}
    if "field" in scheme:
        shown = f"{scheme['field']}={shown}"
    if "header" in time:
        headers[time["header"].lower()] = now
    elif time:
        shown = scheme.get("separator", ",").join([f"{time['field']}={now}", shown])
    return _with(request, {**headers, scheme["header"].lower(): shown})


def _sorted_fields(body: bytes) -> bytes:
    text = body.decode("utf-8", _BYTES)
    fields = dict(parse_qsl(text, keep_blank_values=True, errors=_BYTES))
    return "".join(name + fields[name] for name in sorted(fields)).encode("utf-8", _BYTES)


def _token_shown(request: Request, scheme: dict[str, Any], secret: str) -> Request:
    if "query" in scheme:
        query = urlencode({scheme["query"]: secret})
        return request._replace(query=query, url=f"{URL}{request.path}?{query}")
    if scheme.get("bearer"):
        return _with(request, {"authorization": f"Bearer {secret}"})
    return _with(request, {scheme["header"].lower(): secret})


def _basic_shown(request: Request, scheme: dict[str, Any], secret: str) -> Request:
    shown = base64.b64encode(f"{_USER}:{secret}".encode()).decode()
    return _with(request, {"authorization": f"Basic {shown}"})


def _standard_signed(request: Request, scheme: dict[str, Any], secret: str) -> Request:
    prefix = scheme.get("prefix", "webhook")
    name = f"msg_{scheme['id']}"
    signed = f"{name}.{NOW}.".encode() + request.body
    digest = hmac.digest(base64.b64decode(secret), signed, "sha256")
    return _with(
        request,
        {
            f"{prefix}-id": name,
            f"{prefix}-timestamp": str(NOW),
            f"{prefix}-signature": f"v1,{base64.b64encode(digest).decode()}",
        },
    )


def _with(request: Request, headers: dict[str, str]) -> Request:
    return request._replace(headers={**request.headers, **headers})


_SIGNERS = {
    "hmac": _hmac_signed,
    "token": _token_shown,
    "basic": _basic_shown,
    "standard-webhooks": _standard_signed,
}


def _payloads(folder: Path) -> dict[str, Any]:
    """Return the payloads of a preset: JSON, and forms as the names and values of their fields.

    Each event of a list is a payload of its own.
    """
    forms = {
        path.stem: dict(parse_qsl(path.read_text(encoding="utf-8").strip(), keep_blank_values=True))
        for path in sorted(folder.glob("*.form"))
    }
    events: dict[str, Any] = {}
    for name, value in load(folder).items():
        parts = [[one] for one in value] if isinstance(value, list) else [value]
        events |= {f"{name}_{i}" if i else name: part for i, part in enumerate(parts)}
    return {**events, **forms}


def _optional(name: str) -> tuple[str, ...]:
    """Return the fields of the provider that nothing but fields that only help is made of."""
    mapping = _options(name, _SECRETS[:1]).mapping
    helpers = set(mapping.optional)
    needed, helping = set(), set()
    for rule in (mapping, *mapping.rules):
        for field, part in rule:
            used = {path for one in expressions(part) for path in one.reads if path}
            if field in helpers:
                helping |= used
            elif field not in ("properties", "rules"):
                needed |= used
    names = {".".join(path) for path in helping if not any(_meet(path, one) for one in needed)}
    return tuple(sorted({*names, *(f"*.{one}" for one in names)}))


def _meet(path: tuple[str, ...], other: tuple[str, ...]) -> bool:
    shorter = min(len(path), len(other))
    return path[:shorter] == other[:shorter]


def _contract_of(name: str) -> type[PresetContract]:
    known = catalogue.load(name)
    scheme = known.signature
    hooks = {
        "own": _OWN,
        "optional": _optional(name),
        "__doc__": known.doc,
        "preset": name,
        "scheme": scheme,
        "body": known.mapping.get("body"),
        "payloads": _payloads(catalogue.FOLDER / name / "payloads"),
        "signs_body": scheme["scheme"] in ("hmac", "standard-webhooks"),
        "signs_time": "timestamp" in scheme or scheme["scheme"] == "standard-webhooks",
    }
    return type(f"{name.title().replace('_', '')}Contract", (PresetContract,), hooks)


#: The contract of each preset, by its name.
PRESETS = {name: _contract_of(name) for name in catalogue.names()}
MappedContract.variants = PRESETS
