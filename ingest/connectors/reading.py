"""The former name of `ingest.kit.fields`, for connectors that were written before it moved."""

from ingest.kit.fields import (
    DETAIL_LENGTH,
    EVENT_NAMESPACE,
    LABEL_LENGTH,
    MARKETING,
    SUBJECT_LENGTH,
    Convert,
    Fields,
    Payload,
    decode,
    derived_id,
    each,
    finish,
    guarded,
    id_text,
    identifiers,
    label,
    shortened,
    snake_case,
    without_own,
)
from ingest.kit.json_body import refused_payload
from ingest.kit.mail_message import ADDRESS_LENGTH, address, sent_at

#: The former name of `refused_payload`.
kept = refused_payload

__all__ = [
    "ADDRESS_LENGTH",
    "DETAIL_LENGTH",
    "EVENT_NAMESPACE",
    "LABEL_LENGTH",
    "MARKETING",
    "SUBJECT_LENGTH",
    "Convert",
    "Fields",
    "Payload",
    "address",
    "decode",
    "derived_id",
    "each",
    "finish",
    "guarded",
    "id_text",
    "identifiers",
    "kept",
    "label",
    "sent_at",
    "shortened",
    "snake_case",
    "without_own",
]
