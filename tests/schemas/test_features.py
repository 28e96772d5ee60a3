"""Features: the packed form depends on the set of touches alone, windows are right."""

from hypothesis import given
from hypothesis import strategies as st

from schemas.features import EXACT_WINDOW_MS, Feature, hour_end, totals, within
from schemas.times import DAY_MS, HOUR_MS

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
