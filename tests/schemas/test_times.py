"""Times: what is written is read back, to the millisecond."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from schemas.times import EARLIEST_MS, LATEST_MS, from_ms, parse_ms, rfc3339


@given(st.integers(EARLIEST_MS, LATEST_MS))
def test_written_times_are_read_back(moment):
    assert parse_ms(rfc3339(moment)) == moment


@given(st.integers(EARLIEST_MS, LATEST_MS))
def test_they_look_as_the_standard_library_writes_them(moment):
    expected = from_ms(moment).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert rfc3339(moment) == expected


def test_a_time_without_a_zone_is_utc():
    expected = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp() * 1000
    assert parse_ms("2026-01-02T03:04:05") == expected
