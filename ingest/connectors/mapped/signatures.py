"""The option `signature`: how the sender of a mapped webhook authenticates itself.

Each scheme is a model of its options with `holds`, which says whether a request is genuine: over
the raw body, in constant time, never raising. The scheme of Standard Webhooks (symmetric
signatures, v1) is
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md; Svix
names the same headers `svix-…` (https://docs.svix.com/receiving/verifying-payloads/how-manual).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from ingest.connector import Options, Request, secrets
from ingest.kit.signing import (
    BASE64,
    HEX,
    MaxAgeDays,
    RequiredSecrets,
    basic_credentials,
    bearer_token,
    has_hmac_of,
    is_one_of,
    is_recent,
    query_value,
    sorted_form,
)
from schemas.times import parse_ms

Header = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+$", to_lower=True)]
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
#: Parts of a request that may be signed, and those that protect its events.
_PARTS = frozenset({"body", "form", "url", "method"})
_CONTENT = frozenset({"body", "form"})
_ENCODINGS = {"hex": HEX, "base64": BASE64}
_STANDARD_PREFIX = "whsec_"


def _signed_bytes(signed: str, request: Request, timestamp: str = "") -> bytes:
    """Return the bytes that are signed: a text with the parts of a request in it."""
    # Text and names of placeholders alternate.
    pieces = _PLACEHOLDER.split(signed)
    return b"".join(
        [
            _part(piece, request, timestamp) if i % 2 else piece.encode()
            for i, piece in enumerate(pieces)
        ]
    )


def _part(name: str, request: Request, timestamp: str) -> bytes:
    if name == "body":
        return request.body
    if name == "form":
        return sorted_form(request)
    texts = {"timestamp": timestamp, "url": request.url, "method": request.method}
    return texts[name].encode("utf-8", "replace")


class SignedTime(Options):
    """The time in a signature: in a header of its own, or in a field of the signature's header.

    `signed` is the text that is signed: it holds {timestamp} and {body} or {form}, and {url} or
    {method} if they are part of it.
    """

    header: Header | None = None
    field: str | None = None
    format: Literal["epoch_s", "epoch_ms", "rfc3339"] = "epoch_s"
    signed: str = "{timestamp}.{body}"

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.header is None) == (self.field is None):
            raise ValueError("expected header, or field where it stands beside the signature")
        names = set(_PLACEHOLDER.findall(self.signed))
        if not names <= {"timestamp", *_PARTS}:
            raise ValueError("signed may hold {timestamp}, {body}, {form}, {url} and {method}")
        if "timestamp" not in names or not names & _CONTENT:
            raise ValueError("signed must hold {timestamp} and {body}: both are to be protected")
        return self

    def seconds(self, text: str) -> str:
        """Return the time as seconds since 1970; empty if it is not a time."""
        if self.format == "epoch_s":
            return text
        if self.format == "epoch_ms":
            return text[:-3] if text.isascii() and text.isdigit() else ""
        try:
            return str(parse_ms(text) // 1000) if len(text) <= 40 else ""
        except ValueError:
            return ""


class HmacSignature(Options):
    """An HMAC over the body, or over a time and the body, in a header.

    `signed` is the text that is signed where no time is: {body} or {form} (names and values of a
    form's fields, sorted), with {url} or {method} if they are part of it.

    `prefix` stands before it in the header (`sha256=`). Where the header holds several fields
    (`t=…,v1=…`) `field` names that of the signature, of which there may be more than one.
    """

    scheme: Literal["hmac"]
    header: Header
    algorithm: Literal["sha256", "sha1", "sha512"] = "sha256"
    encoding: Literal["hex", "base64"] = "hex"
    prefix: str = ""
    field: str | None = None
    separator: Annotated[str, Field(min_length=1)] = ","
    secret: RequiredSecrets
    signed: str = "{body}"
    timestamp: SignedTime | None = None
    max_age_days: MaxAgeDays = 3

    @model_validator(mode="after")
    def _signs_content(self) -> Self:
        if self.timestamp is not None and "signed" in self.model_fields_set:
            raise ValueError("signed belongs to the settings of timestamp, if a time is signed")
        names = set(_PLACEHOLDER.findall(self.signed))
        if not names <= _PARTS or not names & _CONTENT:
            raise ValueError("signed must hold {body} or {form}, and may hold {url} and {method}")
        return self

    @model_validator(mode="after")
    def _has_fields(self) -> Self:
        if self.timestamp is not None and self.timestamp.field is not None and self.field is None:
            raise ValueError("field is missing: the name of the signature beside that of the time")
        return self

    def headers(self) -> frozenset[str]:
        """Return the headers that it is shown in."""
        return frozenset({self.header})

    def holds(self, request: Request, received_ms: int) -> bool:
        """Return True if one of the signatures shown is by a secret of ours, and not too old."""
        value = request.headers.get(self.header, "")
        fields = [part.strip().partition("=") for part in value.split(self.separator)]
        if self.timestamp is None:
            content = _signed_bytes(self.signed, request)
        else:
            time = self.timestamp
            timestamp = (
                request.headers.get(time.header, "")
                if time.header is not None
                else next((text for name, _, text in fields if name == time.field), "")
            )
            if not is_recent(time.seconds(timestamp), received_ms, self.max_age_days):
                return False
            content = _signed_bytes(time.signed, request, timestamp)
        if self.field is not None:
            shown = [text for name, _, text in fields if name == self.field]
        else:
            shown = [value]
        plain = [text.removeprefix(self.prefix) for text in shown if text.startswith(self.prefix)]
        if self.encoding == "hex":
            plain = [text.lower() for text in plain]
        encoding = _ENCODINGS[self.encoding]
        return has_hmac_of(content, plain, secrets(self.secret), encoding, self.algorithm)


class TokenSignature(Options):
    """A secret that is shown as it is: in a header, in the query, or as a bearer token."""

    scheme: Literal["token"]
    header: Header | None = None
    query: str | None = None
    bearer: bool = False
    secret: RequiredSecrets

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if sum((self.header is not None, self.query is not None, self.bearer)) != 1:
            raise ValueError("expected one of header, query and bearer: true")
        return self

    def headers(self) -> frozenset[str]:
        """Return the headers that it is shown in."""
        return frozenset({self.header} if self.header is not None else ())

    def holds(self, request: Request, received_ms: int) -> bool:
        """Return True if the request shows one of our secrets."""
        return is_one_of(self._shown(request).encode("utf-8", "replace"), secrets(self.secret))

    def _shown(self, request: Request) -> str:
        if self.query is not None:
            return query_value(request.query, self.query) or ""
        if self.header is not None:
            return request.headers.get(self.header, "")
        return bearer_token(request)


class BasicSignature(Options):
    """A name and a password: HTTP Basic, mostly written into the address of the webhook."""

    scheme: Literal["basic"]
    user: Annotated[str, StringConstraints(pattern=r"^[^:]+$")]
    password: RequiredSecrets

    def headers(self) -> frozenset[str]:
        """Return the headers that it is shown in."""
        return frozenset()

    def holds(self, request: Request, received_ms: int) -> bool:
        """Return True if the request shows the name and one of the passwords."""
        user = self.user.encode() + b":"
        valid = tuple([user + password for password in secrets(self.password)])
        return is_one_of(basic_credentials(request), valid)


def _standard_key(secret: bytes) -> bytes:
    text = secret.decode().removeprefix(_STANDARD_PREFIX).rstrip("=")
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)


def _standard(value: RequiredSecrets) -> RequiredSecrets:
    for secret in secrets(value):
        try:
            key = _standard_key(secret)
        except ValueError:
            key = b""
        if not key:
            raise ValueError("must be whsec_ and base64, as the sender shows it")
    return value


class StandardSignature(Options):
    """Standard Webhooks: id, time and body are signed. `prefix`: that of the three headers."""

    scheme: Literal["standard-webhooks"]
    secret: Annotated[RequiredSecrets, AfterValidator(_standard)]
    prefix: Literal["webhook", "svix"] = "webhook"
    max_age_days: MaxAgeDays = 3

    def headers(self) -> frozenset[str]:
        """Return the headers that it is shown in. (The id and the time are no secret.)"""
        return frozenset({f"{self.prefix}-signature"})

    def holds(self, request: Request, received_ms: int) -> bool:
        """Return True if one of the v1 signatures shown is by a secret of ours, and not too old."""
        read = request.headers.get
        name, time = read(f"{self.prefix}-id", ""), read(f"{self.prefix}-timestamp", "")
        if not name or not is_recent(time, received_ms, self.max_age_days):
            return False
        versions = [part.partition(",") for part in read(f"{self.prefix}-signature", "").split(" ")]
        shown = [signature for version, _, signature in versions if version == "v1"]
        signed = f"{name}.{time}.".encode("utf-8", "replace") + request.body
        keys = tuple([_standard_key(secret) for secret in secrets(self.secret)])
        return has_hmac_of(signed, shown, keys, BASE64)


Signature = Annotated[
    HmacSignature | TokenSignature | BasicSignature | StandardSignature,
    Field(discriminator="scheme"),
]

_SCHEMES: dict[str, type[Options]] = {
    "hmac": HmacSignature,
    "token": TokenSignature,
    "basic": BasicSignature,
    "standard-webhooks": StandardSignature,
}
#: A secret that every scheme takes.
_STAND_IN = base64.b64encode(b"not a secret").decode()


def stand_ins(signature: Mapping[str, Any]) -> dict[str, str]:
    """Return a stand-in for each setting that the scheme of a preset needs and does not state."""
    fields = _SCHEMES[signature["scheme"]].model_fields
    return {
        name: _STAND_IN
        for name, field in fields.items()
        if field.is_required() and name not in signature
    }
