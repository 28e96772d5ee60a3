"""Forms that providers post, with files or without."""

from __future__ import annotations

from typing import NamedTuple

from ingest.connector import Request
from ingest.kit.mail_addresses import whole
from ingest.multipart_form import MEDIA_TYPE, FormPart
from schemas.rejection import Rejection

_URL_ENCODED = "application/x-www-form-urlencoded"


class Form(NamedTuple):
    """The fields of a form in their order, and its files.

    Bytes of a field that are not UTF-8 are surrogates (`surrogateescape`).
    """

    fields: tuple[tuple[str, str], ...]
    files: tuple[FormPart, ...] = ()

    def all(self, *names: str) -> list[str]:
        """Return the values of all fields of these names that are not empty, as they came."""
        return [value for name, value in self.fields if name in names and value]

    def first(self, *names: str) -> str | None:
        """Return the first value of the first of these fields that is there, as text."""
        found = (value for name in names for value in self.all(name))
        return next((whole(value) for value in found), None)

    def last(self, name: str) -> str | None:
        """Return the last value of a field as text, if there is any."""
        return next((whole(value) for value in reversed(self.all(name))), None)


def posted_form(request: Request) -> Form | Rejection | None:
    """Return the form in a body, an `unreadable` rejection, or None if it is something else.

    The Content-Type tells, but JSON is none whatever that says: what is kept of a refused form is
    JSON, with the headers of the form.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if request.body.lstrip()[:1] in (b"{", b"["):
        return None
    if media_type == _URL_ENCODED:
        fields = request.form
        return fields if isinstance(fields, Rejection) else Form(fields)
    if media_type == MEDIA_TYPE:
        parts = request.multipart
        if isinstance(parts, Rejection):
            return parts
        texts = [
            (part.name, part.content.decode("utf-8", "surrogateescape"))
            for part in parts
            if part.file_name is None
        ]
        return Form(tuple(texts), tuple(part for part in parts if part.file_name is not None))
    return None
