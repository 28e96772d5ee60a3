"""Features: the packed form depends on the set of touches alone, windows are right."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.feature_adding import add_touches
from schemas.features import EXACT_WINDOW_MS, entries_in_window, hour_end, newest, totals
from schemas.times import DAY_MS, HOUR_MS
from tests.support.feature_reference import feature_of

NOW = 1_780_000_000_000
touches = st.lists(
    st.tuples(
        st.one_of(
            st.integers(NOW - 4 * DAY_MS, NOW + DAY_MS), st.integers(NOW - 500 * DAY_MS, NOW)
        ),
        st.integers(-5_000_000, 5_000_000),
    ),
    min_size=1,
    max_size=60,
)


def pack(items: list[tuple[int, int]], money: bool = True) -> bytes:
    """One touch after the other."""
    packed = None
    for at_ms, amount in items:
        packed = add_touches(packed, [(at_ms, amount if money else 0)], money=money)
    assert packed is not None
    return packed


@given(touches, st.booleans())
def test_any_order_gives_the_same_bytes(items, money):
    assert pack(items, money) == feature_of(items, money)


@given(touches, st.lists(st.integers(1, 8), max_size=20), st.booleans(), st.booleans())
def test_touches_added_in_batches_give_the_same_bytes(items, sizes, money, in_order):
    if in_order:
        items.sort()
    assert batched(items, sizes, money) == feature_of(items, money)


def batched(items: list[tuple[int, int]], sizes: list[int], money: bool) -> bytes:
    """Batches of these sizes, and one of the rest."""
    packed, rest = None, [(at_ms, amount if money else 0) for at_ms, amount in items]
    for size in [*sizes, len(rest)]:
        batch, rest = rest[:size], rest[size:]
        if batch:
            packed = add_touches(packed, batch, money=money)
    assert packed is not None
    return packed


@given(
    st.lists(
        st.lists(
            st.tuples(st.integers(0, 20 * 60_000), st.integers(-9, 9)), min_size=1, max_size=9
        ),
        min_size=1,
        max_size=80,
    ),
    st.booleans(),
)
def test_a_busy_feature_grows_at_its_ends_to_the_same_bytes(batches, money):
    """Batch after batch a few minutes later: what production sees."""
    packed, items = None, []
    for number, batch in enumerate(batches):
        later = [(NOW + number * 25 * 60_000 + at, amount if money else 0) for at, amount in batch]
        items += later
        packed = add_touches(packed, later, money=money)
    assert packed == feature_of(items, money)


@settings(max_examples=100, deadline=None)
@given(
    st.integers(0, 2**32),
    st.tuples(
        st.sampled_from([500, 1000, 2500]),
        st.sampled_from([300, 404, 430, 900]),
        st.sampled_from([0.3, 1, 3]),
    ),
    st.lists(st.integers(1, 400), min_size=1, max_size=12),
    st.sampled_from(["forwards", "backwards", "shuffled", "a little late"]),
    st.booleans(),
)
def test_around_the_clock_older_hours_become_days_in_any_order(seed, spread, sizes, order, money):
    """So many, spread over days evenly, or more of them early or late."""
    rng = random.Random(seed)
    n, days, skew = spread
    items = sorted(
        (NOW - int(days * DAY_MS * rng.random() ** skew), rng.randrange(-9, 99)) for _ in range(n)
    )
    if order == "backwards":
        items.reverse()
    elif order != "forwards":
        late = n if order == "shuffled" else 30
        items = [
            item for _, item in sorted((i + rng.random() * late, x) for i, x in enumerate(items))
        ]
    assert batched(items, sizes * 10, money) == feature_of(items, money)


def test_who_is_here_around_the_clock_for_years_has_a_feature_of_bounded_size():
    packed = None
    for day in range(800):
        hours = [(NOW + day * DAY_MS + hour * HOUR_MS, 1) for hour in range(24)]
        packed = add_touches(packed, hours, money=True)
    assert len(packed) < 24_000
    now = NOW + 799 * DAY_MS + 23 * HOUR_MS
    assert totals(packed).touches == 800 * 24
    # A window of a month goes by the hour, one of a year by the day.
    for window, slack in ((30 * DAY_MS, HOUR_MS), (365 * DAY_MS, DAY_MS)):
        counted = sum(touches for _, touches, _ in entries_in_window(packed, now, window))
        assert window <= counted * HOUR_MS <= window + slack
        covered = sum(touches for _, touches in newest(packed, now, window, 1_000_000))
        assert covered == counted


def test_nothing_tells_that_there_were_days_once_they_are_too_old():
    items = [(NOW + hour * HOUR_MS, 1) for hour in range(800)] + [(NOW + 900 * DAY_MS, 1)]
    assert batched(items, [800], money=False) == feature_of(items, money=False)


def test_more_exact_times_than_fit_still_do_not_depend_on_the_order():
    items = [(NOW - i * 1000, i) for i in range(400)]
    assert pack(items) == pack(items[::-1]) == feature_of(items, money=True)


@given(touches, st.sampled_from([HOUR_MS, DAY_MS, EXACT_WINDOW_MS, 7 * DAY_MS, 30 * DAY_MS]))
def test_a_window_holds_what_its_definition_says(items, window):
    entries = entries_in_window(pack(items), NOW, window)
    exact = window <= EXACT_WINDOW_MS
    expected = [amount for at, amount in items if (at if exact else hour_end(at)) > NOW - window]
    assert sum(touches for _, touches, _ in entries) == len(expected)
    assert sum(amount for _, _, amount in entries) == sum(expected)
    assert entries == sorted(entries, key=lambda entry: entry[0])


@given(touches)
def test_totals_cover_everything_ever_added(items):
    kept = totals(pack(items))
    assert kept == (
        min(at for at, _ in items),
        max(at for at, _ in items),
        len(items),
        sum(amount for _, amount in items),
    )
