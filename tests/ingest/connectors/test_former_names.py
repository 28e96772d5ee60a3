"""The former names of the tools for connectors, which plug-ins import, are still there."""

from __future__ import annotations

from ingest.connectors import reading, signing
from ingest.kit import fields, json_body, mail_message
from ingest.kit import signing as kit_signing

READING = {
    "ADDRESS_LENGTH", "DETAIL_LENGTH", "EVENT_NAMESPACE", "LABEL_LENGTH", "MARKETING",
    "SUBJECT_LENGTH", "Convert", "Fields", "Payload", "address", "decode", "derived_id", "each",
    "finish", "guarded", "id_text", "identifiers", "kept", "label", "sent_at", "shortened",
    "snake_case", "without_own",
}  # fmt: skip
SIGNING = {
    "BASE64", "HEX", "Encoding", "RequiredSecrets", "basic_credentials", "has_hmac_of",
    "is_hmac_of", "is_one_of", "is_recent", "named",
}  # fmt: skip


def test_reading_has_all_that_it_had():
    assert set(reading.__all__) == READING
    assert reading.kept is json_body.refused_payload
    assert (reading.address, reading.sent_at) == (mail_message.address, mail_message.sent_at)
    for name in READING - {"kept", "address", "sent_at", "ADDRESS_LENGTH"}:
        assert getattr(reading, name) is getattr(fields, name), name


def test_signing_has_all_that_it_had():
    assert set(signing.__all__) == SIGNING
    for name in SIGNING:
        assert getattr(signing, name) is getattr(kit_signing, name), name
