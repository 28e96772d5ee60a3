"""Forms with files, against another library that writes them, and whatever strangers send."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from urllib3.filepost import encode_multipart_formdata

from ingest.multipart_form import FormPart, decode_multipart
from ingest.request import MAX_FORM_FIELDS, Request
from schemas.rejection import Rejection


def request(body: bytes, content_type: str) -> Request:
    return Request("POST", "/", "", "", {"content-type": content_type}, body)


@given(
    st.lists(
        st.tuples(st.from_regex(r"[a-z_-]{1,12}", fullmatch=True), st.binary(max_size=80)),
        min_size=1,
        max_size=8,
    )
)
def test_what_another_library_writes_is_read(fields: list[tuple[str, bytes]]):
    body, content_type = encode_multipart_formdata(fields)
    assert request(body, content_type).multipart == tuple(FormPart(*pair) for pair in fields)


def test_a_file_has_its_media_type_and_its_bytes():
    content = bytes(range(256)) + b"\r\n--no\r\n"
    fields = {"a": "1", "attachment-1": ("表.txt", content, "Text/Plain; charset=x")}
    first, second = request(*encode_multipart_formdata(fields)).multipart
    assert first == FormPart("a", b"1")
    assert (second.name, second.content, second.media_type) == (
        "attachment-1",
        content,
        "text/plain",
    )
    assert second.file_name is not None


def test_a_file_name_in_another_charset_costs_no_form():
    name = "表.txt".encode("shift_jis")
    part = b'Content-Disposition: form-data; name="f"; filename="' + name + b'"\r\n\r\nx\r\n'
    (found,) = request(b"--b\r\n" + part + b"--b--", "multipart/form-data; boundary=b").multipart
    assert (found.name, found.content) == ("f", b"x")


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", "multipart/form-data; boundary=b"),
        (b"--b", "multipart/form-data; boundary=b"),
        (
            b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1',
            "multipart/form-data; boundary=b",
        ),
        (b"--b\r\n\r\n1\r\n--b--", "multipart/form-data; boundary=b"),
        (b"--b--", "multipart/form-data"),
        (b"--b--", "multipart/form-data; boundary="),
        (b"--b--", "multipart/mixed; boundary=b"),
        (b"--b--", ""),
        (b"--b--", "multipart/form-data; boundary=\udc80"),
        (b"--b\r\n" + b"x" * 10_000, "multipart/form-data; boundary=b"),
    ],
    ids=range(10),
)
def test_anything_else_is_unreadable(body: bytes, content_type: str):
    refused = request(body, content_type).multipart
    assert isinstance(refused, Rejection)
    assert (refused.reason, refused.payload) == ("unreadable", body)


def test_the_number_of_parts_is_limited():
    fields = [(f"f{number}", "x") for number in range(MAX_FORM_FIELDS + 1)]
    assert isinstance(request(*encode_multipart_formdata(fields)).multipart, Rejection)
    assert isinstance(request(*encode_multipart_formdata(fields[1:])).multipart, tuple)


@given(st.binary(max_size=300))
def test_any_bytes(body: bytes):
    found = decode_multipart("multipart/form-data; boundary=b", b"--b\r\n" + body, 10)
    assert isinstance(found, tuple | Rejection)


def test_other_headers_are_another_form():
    body, content_type = encode_multipart_formdata({"a": "1"})
    first = request(body, content_type)
    assert isinstance(first.multipart, tuple)
    assert isinstance(first._replace(headers={}).multipart, Rejection)
    assert first._replace(path="/x").multipart is first.multipart
