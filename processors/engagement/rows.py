"""The rows of engagement counters, in stored and in published form.

A counter has the key ``e:`` and its window: hour, channel, type, source, campaign and currency.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from schemas import rows
from schemas.features import amount_text, micros
from schemas.times import HOUR_MS, rfc3339
from schemas.touchpoint_row import TouchpointRow

PREFIX = b"e:"


class Window(NamedTuple):
    """The key of one counter; `start_ms` is the start of the hour."""

    start_ms: int
    channel: str
    type: str
    source: str
    campaign: str
    currency: str

    def row_key(self) -> bytes:
        """Return the key of the counter's row."""
        return PREFIX + "\x1f".join((str(self.start_ms), *self[1:])).encode()


class Counter(msgspec.Struct, array_like=True):
    """Touches, amount in micros, duration in ms: integers, so that order does not matter."""

    touches: int = 0
    amount: int = 0
    duration_ms: int = 0

    def add(self, touch: TouchpointRow) -> None:
        """Count one touch."""
        self.touches += 1
        if touch.value_amount is not None:
            self.amount += micros(touch.value_amount)
        if touch.duration_s is not None:
            self.duration_ms += round(touch.duration_s * 1000)


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Counter)


def window(touch: TouchpointRow, occurred_ms: int) -> Window:
    """Return the window that a touch belongs to."""
    return Window(
        occurred_ms - occurred_ms % HOUR_MS,
        touch.channel,
        touch.type,
        touch.source,
        touch.campaign_name,
        touch.value_currency,
    )


def unpack(row: bytes) -> Counter:
    """Decode the counter of a row's stored bytes."""
    return _decoder.decode(memoryview(row)[rows.SIZE :])


def pack(counter: Counter) -> bytes:
    """Encode the body of a counter's row."""
    return _encoder.encode(counter)


def published(window: Window, counter: Counter, *, epoch: int, home: int, version: int) -> bytes:
    """Return the row of ClickHouse's table `engagement`, one line of JSON."""
    return msgspec.json.encode(
        {
            "epoch": epoch,
            "window_start": rfc3339(window.start_ms),
            "channel": window.channel,
            "type": window.type,
            "source": window.source,
            "campaign_name": window.campaign,
            "value_currency": window.currency,
            "home": home,
            "touchpoints": counter.touches,
            "value_amount": amount_text(counter.amount),
            "duration_s": counter.duration_ms / 1000,
            "version": version,
        }
    )
