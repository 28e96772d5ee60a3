"""A raw HTTP request, and the values that its body decodes to.

A body is decoded at most once, whoever asks for its value: the search for the source by a key in
the body, `verify`, `parse` and `around` all see one value.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qsl

import msgspec

from ingest import loose_json
from ingest.multipart_form import FormPart, decode_multipart
from schemas.rejection import Rejection

#: Most fields of a form.
MAX_FORM_FIELDS = 1000


class _Parts(NamedTuple):
    method: str
    path: str
    query: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    fetched: Mapping[str, bytes] = {}


class Request(_Parts):
    """A raw HTTP request.

    `headers` have lower-case names. `body` is the raw body after the transfer encoding and a
    Content-Encoding that the gateway decoded. `url` is the address as the provider called it: the
    configured public address, path and query. `fetched` is the content that the gateway fetched
    for a `FetchingConnector`, by address.
    """

    @cached_property
    def json(self) -> object | Rejection:
        """The JSON of the body, or an `unreadable` rejection (see `decode_json`).

        Everybody gets the same object, so nobody may change anything in it.
        """
        return decode_json(self.body)

    @cached_property
    def form(self) -> tuple[tuple[str, str], ...] | Rejection:
        """Names and values of the form in the body, or an `unreadable` rejection.

        They stand in the order in which they were sent, empty ones too. Bytes that are not UTF-8
        are surrogates (`surrogateescape`), so that a signature over them can be checked.
        """
        return decode_form(self.body)

    @cached_property
    def multipart(self) -> tuple[FormPart, ...] | Rejection:
        """The fields and files of the multipart form in the body, or an `unreadable` rejection."""
        content_type = self.headers.get("content-type", "")
        return decode_multipart(content_type, self.body, MAX_FORM_FIELDS)

    @property
    def is_damaged(self) -> bool:
        """Say if the JSON that was decoded holds a value that cannot be used (`loose_json`)."""
        return loose_json.is_damaged(self.__dict__.get("json"))

    def cut_deep(self) -> None:
        """Decode the body once more, without the parts of it that are nested too deeply."""
        self.__dict__["json"] = _decode_loosely(self.body)

    def _replace(self, /, **changes: Any) -> Self:
        """Return a copy with some parts replaced; it keeps what the same body was decoded to."""
        copy = super()._replace(**changes)
        if copy.body is self.body:
            copy.__dict__.update(self.__dict__)
            if copy.headers is not self.headers:
                copy.__dict__.pop("multipart", None)
        return copy

    def forget(self) -> None:
        """Free the decoded values; whoever asks again has the body decoded again."""
        self.__dict__.clear()


def decode_json(body: bytes) -> object | Rejection:
    """Return the JSON of a body, or an `unreadable` rejection.

    Half of a surrogate pair (what is left of an emoji that a script cut in two) becomes U+FFFD. A
    value that cannot be used, such as NaN, is marked, so that it costs its event and not the whole
    batch; see `loose_json`.
    """
    decoded: object
    try:
        decoded = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return _decode_loosely(body)
    return decoded


def _decode_loosely(body: bytes) -> object | Rejection:
    try:
        decoded = loose_json.decode(body)
    except (ValueError, RecursionError):
        return Rejection("unreadable", "the body: is not JSON in UTF-8", body)
    if isinstance(decoded, loose_json.Unusable):
        return Rejection("unreadable", f"the body: {decoded.why}", body)
    return decoded


def decode_form(body: bytes) -> tuple[tuple[str, str], ...] | Rejection:
    """Return the fields of a form, or an `unreadable` rejection if there are too many."""
    try:
        pairs = parse_qsl(
            body.decode("utf-8", "surrogateescape"),
            keep_blank_values=True,
            errors="surrogateescape",
            max_num_fields=MAX_FORM_FIELDS,
        )
    except ValueError:
        detail = f"the body: is no form of at most {MAX_FORM_FIELDS} fields"
        return Rejection("unreadable", detail, body)
    return tuple(pairs)
