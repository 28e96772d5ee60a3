"""A touchpoint as it travels: the row of ClickHouse's table `touchpoints`, one line of JSON."""

from __future__ import annotations

import msgspec

#: The version of a line's content.
SCHEMA_VERSION = 1


class TouchpointRow(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The columns, in the table's order. Times are RFC 3339, UTC; '' if absent.

    Values equal to their default are left out of the line, which makes most lines a third shorter.
    So a default is that of the column's type, and columns that want another value have none.
    """

    event_id: str
    channel: str
    type: str
    source: str
    direction: str
    occurred_at: str
    received_at: str
    lead_kind: str
    lead_value: str
    lead_id: str
    identifiers: dict[str, list[str]]
    traits: dict[str, str | None] = {}
    consent: dict[str, bool] = {}
    campaign_name: str = ""
    campaign_source: str = ""
    campaign_medium: str = ""
    campaign_term: str = ""
    campaign_content: str = ""
    #: Decimal text, at most six places.
    value_amount: str | None = None
    value_currency: str = ""
    duration_s: float | None = None
    outcome: str = ""
    sentiment: float | None = None
    subject: str = ""
    url: str = ""
    #: JSON text of an object.
    properties: str
    schema_version: int


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(TouchpointRow)


def encode(row: TouchpointRow) -> bytes:
    """Encode the row as one line. Raises UnicodeEncodeError on text that is not Unicode."""
    return _encoder.encode(row)


def decode(line: bytes) -> TouchpointRow:
    """Decode the row of one line. Raises msgspec.DecodeError."""
    return _decoder.decode(line)
