"""Forms with files (multipart/form-data, RFC 7578), as providers post incoming e-mails."""

from __future__ import annotations

from typing import NamedTuple

from multipart import MultipartError, PushMultipartParser, parse_options_header

from schemas.rejection import Rejection

MEDIA_TYPE = "multipart/form-data"
_BYTES = "latin-1"


class FormPart(NamedTuple):
    """A part of a form, as bytes: a field, or a file if it has a file name."""

    name: str
    content: bytes
    media_type: str = ""
    file_name: str | None = None


def decode_multipart(content_type: str, body: bytes, most: int) -> tuple[FormPart, ...] | Rejection:
    """Return the parts of a form in their order, or an `unreadable` rejection.

    `most`: the highest number of parts; a form with more is refused.
    """
    media_type, options = parse_options_header(content_type)
    boundary = options.get("boundary", "")
    if media_type != MEDIA_TYPE or not boundary:
        return Rejection("unreadable", f"Content-Type: must be {MEDIA_TYPE} with a boundary", body)
    try:
        return tuple(_parts(boundary, body, most))
    except (MultipartError, UnicodeError):
        detail = f"the body: is no form of at most {most} parts that ends with its boundary"
        return Rejection("unreadable", detail, body)


def _parts(boundary: str, body: bytes, most: int) -> list[FormPart]:
    found: list[FormPart] = []
    content: list[bytes] = []
    head = FormPart("", b"")
    # Names of files come in any charset, and must not cost the form.
    with PushMultipartParser(boundary, max_segment_count=most, header_charset=_BYTES) as parser:
        for event in parser.parse(body) if body else ():
            if event is None:
                found.append(head._replace(content=b"".join(content)))
            elif isinstance(event, bytes | bytearray):
                content.append(bytes(event))
            else:
                name = event.name.encode(_BYTES).decode("utf-8", "replace")
                head = FormPart(name, b"", event.content_type or "", event.filename)
                content = []
    return found
