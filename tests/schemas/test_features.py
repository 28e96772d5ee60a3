"""Features: the packed form depends on the set of touches alone, windows are right."""

from hypothesis import given
from hypothesis import strategies as st

from schemas.feature_adding import with_touches
from schemas.features import EXACT_WINDOW_MS, hour_end, totals, within
from schemas.times import DAY_MS, HOUR_MS
from tests.schemas.feature_reference import Feature

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
    packed = Feature(money).pack()
    for at_ms, amount in items:
        feature = Feature.unpack(packed)
        feature.add(at_ms, amount)
        packed = feature.pack()
    return packed


@given(st.data(), touches, st.booleans())
def test_any_order_gives_the_same_bytes(data, items, money):
    shuffled = data.draw(st.permutations(items))
    assert pack(items, money) == pack(shuffled, money)


@given(touches, st.lists(st.integers(1, 8), max_size=20), st.booleans(), st.booleans())
def test_touches_added_in_batches_give_the_same_bytes(items, sizes, money, in_order):
    if in_order:
        items.sort()
    if not money:
        items = [(at_ms, 0) for at_ms, _ in items]
    packed, rest = None, list(items)
    for size in [*sizes, len(rest)]:
        batch, rest = rest[:size], rest[size:]
        if batch:
            packed = with_touches(packed, batch, money=money)
    assert packed == pack(items, money)


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
        packed = with_touches(packed, later, money=money)
    assert packed == pack(items, money)


def test_more_exact_times_than_fit_still_do_not_depend_on_the_order():
    items = [(NOW - i * 1000, i) for i in range(400)]
    assert pack(items) == pack(items[::-1])


@given(touches, st.sampled_from([HOUR_MS, DAY_MS, EXACT_WINDOW_MS, 7 * DAY_MS, 30 * DAY_MS]))
def test_a_window_holds_what_its_definition_says(items, window):
    entries = within(pack(items), NOW, window)
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
