"""Random definitions and people, with touches near the edges of the definitions' windows."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from schemas.times import DAY_MS, HOUR_MS, MINUTE_MS
from tests.processors.segments.reference import MILLION, Person, Touch

NOW = 1_780_000_123_456
WINDOWS = {
    "2h": 2 * HOUR_MS,
    "48h": 2 * DAY_MS,
    "49h": 49 * HOUR_MS,
    "7d": 7 * DAY_MS,
    "400d": 400 * DAY_MS,
}
windows = st.sampled_from(list(WINDOWS))
traits = st.sampled_from(["plan", "age", "since"])
texts = st.sampled_from(
    ["pro", "free", "9", "10", "10.0", "1e1", "true", "2026-01-01", "2026-06-01T09:00:00+09:00", ""]
)


_FILTERS = {
    "channel": st.sampled_from(["web", "email"]),
    "type": st.sampled_from(["page_viewed", "order_completed"]),
    "source": st.sampled_from(["shop", "crm"]),
    "campaign": st.sampled_from(["spring", "summer"]),
    "direction": st.sampled_from(["inbound", "outbound"]),
}
#: Mostly few, so that several touches match.
filters: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({}),
    *(st.fixed_dictionaries({name: values}) for name, values in _FILTERS.items()),
    st.fixed_dictionaries({}, optional=_FILTERS),
)


@st.composite
def amounts(draw: st.DrawFn, keyword: str) -> dict[str, Any]:
    low = st.integers(1, 4) if keyword == "count" else st.integers(-5, 8)
    body = dict(draw(filters))
    if keyword == "sum":
        body["currency"] = draw(st.sampled_from(["JPY", "USD"]))
    if draw(st.integers(0, 3)):
        body["within"] = draw(windows)
    bounds = sorted(draw(st.lists(low, min_size=1, max_size=2)))
    if len(bounds) == 2:
        body |= {"at_least": bounds[0], "at_most": bounds[1]}
    elif draw(st.booleans()):
        body["at_least"] = bounds[0]
    else:
        body["at_most"] = bounds[0] - 1
    return {keyword: body}


@st.composite
def recencies(draw: st.DrawFn) -> dict[str, Any]:
    body = dict(draw(filters))
    names = sorted(draw(st.sets(windows, min_size=1, max_size=2)), key=lambda name: WINDOWS[name])
    if len(names) == 2:
        body |= {"not_within": names[0], "within": names[1]}
    else:
        body[draw(st.sampled_from(["within", "not_within"]))] = names[0]
    return {draw(st.sampled_from(["last_touch", "first_touch"])): body}


trait_conditions = st.builds(
    lambda name, comparisons: {"trait": {"name": name, **comparisons}},
    traits,
    st.one_of(
        st.just({"exists": False}),
        st.fixed_dictionaries(
            {},
            optional={
                "equals": st.one_of(texts, st.integers(8, 11), st.booleans()),
                "not_equals": texts,
                "in": st.lists(texts, min_size=1, max_size=3),
                "contains": st.sampled_from(["r", "0", "-"]),
                "matches": st.sampled_from(["^p", "[0-9]$", "1|f"]),
                "greater_than": st.sampled_from([9, 9.5, "10", "2026-02-01"]),
                "less_than": st.sampled_from([10, "2026-05-31T23:59:59Z"]),
                "exists": st.just(True),
            },
        ).filter(bool),
    ),
)
leaves: st.SearchStrategy[dict[str, Any]] = st.one_of(
    amounts("count"),
    amounts("sum"),
    recencies(),
    trait_conditions,
    st.builds(
        lambda kind, exists: {"identifier": {"kind": kind, "exists": exists}},
        st.sampled_from(["email", "line"]),
        st.booleans(),
    ),
    st.builds(
        lambda wanted: {"consent": {"purpose": "marketing", "is": wanted}},
        st.booleans(),
    ),
)
#: What time changes at most twice.
steady_leaves: st.SearchStrategy[dict[str, Any]] = st.one_of(amounts("count"), recencies())
timed_leaves: st.SearchStrategy[dict[str, Any]] = st.one_of(steady_leaves, amounts("sum"))


def trees(of: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Conditions joined with all, any and not."""
    return st.recursive(
        of,
        lambda inner: st.one_of(
            st.builds(lambda parts: {"all": parts}, st.lists(inner, min_size=1, max_size=3)),
            st.builds(lambda parts: {"any": parts}, st.lists(inner, min_size=1, max_size=3)),
            st.builds(lambda part: {"not": part}, inner),
        ),
        max_leaves=6,
    )


@st.composite
def touches(draw: st.DrawFn, near: int) -> Touch:
    """A touch near an edge of the window `near`, of another one, or of late; most are alike."""
    edge = draw(st.sampled_from([near, near, near, 0, *WINDOWS.values()]))
    offset = draw(st.integers(-2, 3)) * HOUR_MS + draw(st.sampled_from([0, 1, 7, MINUTE_MS]))
    currency = draw(st.sampled_from(["", "JPY", "JPY", "JPY", "USD"]))
    return Touch(
        NOW - edge + offset,
        draw(st.sampled_from(["web", "web", "web", "email"])),
        draw(st.sampled_from(["page_viewed", "page_viewed", "page_viewed", "order_completed"])),
        draw(st.sampled_from(["shop", "crm"])),
        draw(st.sampled_from(["", "spring", "summer"])),
        draw(st.sampled_from(["inbound", "outbound"])),
        draw(st.integers(-3, 6)) * MILLION if currency else 0,
        currency,
        draw(st.sampled_from([0, 0, 0, 1])),
    )


people = st.builds(
    Person,
    st.sampled_from(list(WINDOWS.values())).flatmap(
        lambda near: st.lists(touches(near), max_size=8)
    ),
    st.lists(st.sampled_from(["email", "line"]), unique=True),
    st.dictionaries(traits, texts, max_size=3),
    st.dictionaries(st.just("marketing"), st.booleans()),
)


@st.composite
def crowds(draw: st.DrawFn) -> tuple[dict[str, Any], Person]:
    """A count or sum over a window, and a person with many touches in it and at its edge."""
    window = draw(windows)
    count = draw(st.booleans())
    low = draw(st.integers(1, 6))
    body: dict[str, Any] = {"within": window}
    bound = draw(st.sampled_from(["at_least", "at_most", "both"]))
    if bound != "at_most":
        body["at_least"] = low
    if bound != "at_least":
        body["at_most"] = low + draw(st.integers(0, 2))
    if not count:
        body["currency"] = "JPY"
    lengths = st.one_of(st.just(0), st.integers(0, WINDOWS[window] + HOUR_MS))
    hours_back = st.integers(0, 3).map(lambda hours: hours * HOUR_MS)
    trails = st.integers(0, draw(st.sampled_from([0, 0, 2])))
    person = Person(
        [
            Touch(
                NOW - draw(lengths) - draw(hours_back),
                micros=draw(st.sampled_from([1, 1, 2, -1])) * MILLION,
                currency="JPY",
                trail=draw(trails),
            )
            for _ in range(draw(st.integers(2, 8)))
        ]
    )
    return {"count" if count else "sum": body}, person
