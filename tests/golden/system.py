"""A small system that stopped in the middle: what an upgrade finds.

Every kind of row and of message is in it, and some of each topic is not read yet. Nothing is left
to chance: the same bytes come out of every run, until a form or a decision changes.
"""

from __future__ import annotations

from schemas import topics
from schemas.times import DAY_MS, HOUR_MS, MINUTE_MS, rfc3339
from schemas.touchpoint import Touchpoint
from tests.support import identity_world
from tests.support.pipeline import Pipeline, Place
from tests.support.touches import order, touch

HANAKO, TARO = ("customer_id", "hanako"), ("customer_id", "taro")
MAIL, NEW_MAIL, PHONE = ("email", "h@x.jp"), ("email", "new@x.jp"), ("phone", "+819012345678")
TARO_MAIL, LINE, CARD = ("email", "t@x.jp"), ("line", "U1"), ("loyalty_id", "L1")
BROWSER, TABLET = ("anonymous_id", "b1"), ("device_id", "tablet")
NEWCOMER = ("email", "new-comer@x.jp")
CAMPAIGN = {"name": "spring", "source": "news", "medium": "email", "term": "tea", "content": "a"}
UNTRUSTED = (identity_world.KIOSK,)


def empty() -> Pipeline:
    """One partition, segments that have a twin in the reference, a source that joins nobody."""
    pipeline = Pipeline(partitions=1, segments=identity_world.segments(), untrusted=UNTRUSTED)
    pipeline.now_ms = identity_world.START_MS
    return pipeline


def stopped() -> Pipeline:
    """The system as it stopped."""
    pipeline = empty()
    _first_touches(pipeline)
    _time_passes(pipeline)
    _an_operator(pipeline)
    _a_change_that_was_not_published(pipeline)
    _what_is_not_read_yet(pipeline)
    return pipeline


def ago(pipeline: Pipeline, milliseconds: int) -> str:
    """A time before now, away from the edges of all windows."""
    return rfc3339(pipeline.now_ms - milliseconds - MINUTE_MS)


def _first_touches(pipeline: Pipeline) -> None:
    first = touch(
        "t1", HANAKO, MAIL, channel="email", type="email_opened", direction="outbound",
        occurred_at=ago(pipeline, HOUR_MS),
        traits={"name": "山田 花子", "city": "Tokyo", "age": 40},
        consent={"marketing": True, "analytics": False}, campaign=CAMPAIGN, duration_s=1.5,
        outcome="opened", sentiment=0.5, subject="春", url="https://shop.example/?a=1",
        properties={"list": [1, "two", None]},
    )  # fmt: skip
    _send(pipeline, first)
    bought = {"occurred_at": ago(pipeline, 2 * HOUR_MS)}
    dollars = {"value": {"amount": "29.330001", "currency": "USD"}}
    _send(pipeline, order("t2", MAIL, PHONE, amount="1500", **bought), "shop")
    _send(pipeline, order("t3", MAIL, amount="1600", **bought), "shop")
    _send(pipeline, order("t4", MAIL, amount="0", **dollars, **bought), "shop")
    _send(pipeline, touch("t5", MAIL, BROWSER, occurred_at=ago(pipeline, 0), traits={"city": None}))
    _send(pipeline, touch("t6", TARO, TARO_MAIL, occurred_at=ago(pipeline, DAY_MS)))
    _drain(pipeline)
    # A redelivery, a conflict, a source that joins nobody, a tablet of two, and years late.
    _send(pipeline, order("t3", MAIL, amount="9", **bought), "shop")
    _send(pipeline, touch("t7", HANAKO, TARO, occurred_at=ago(pipeline, 0)))
    _send(pipeline, touch("t8", TARO, LINE, occurred_at=ago(pipeline, 0)), identity_world.KIOSK)
    _send(pipeline, touch("t9", HANAKO, TABLET, occurred_at=ago(pipeline, 0)))
    _send(pipeline, touch("t10", TABLET, occurred_at=ago(pipeline, 0)))
    _drain(pipeline)
    _send(pipeline, touch("t11", TARO, TABLET, occurred_at=ago(pipeline, 0)))
    _send(pipeline, order("t12", TARO, CARD, amount="700", occurred_at="2019-02-03T04:05:06Z"))
    _drain(pipeline)


def _time_passes(pipeline: Pipeline) -> None:
    """Two days without a touch: who is quiet enters by time alone."""
    _send(pipeline, touch("t13", LINE, occurred_at=ago(pipeline, 0)))
    _drain(pipeline)
    pipeline.now_ms += 3 * DAY_MS
    _drain(pipeline)


def _an_operator(pipeline: Pipeline) -> None:
    pipeline.split(*MAIL)
    pipeline.split(*TARO_MAIL, lead=TARO, source="web")
    pipeline.lift(*PHONE)
    _drain(pipeline)
    _send(pipeline, touch("t14", HANAKO, MAIL, occurred_at=ago(pipeline, 0)))
    _drain(pipeline)


def _a_change_that_was_not_published(pipeline: Pipeline) -> None:
    """A process ends after it has logged a change by time; a touch changes that row again."""
    pipeline.now_ms += 3 * DAY_MS
    trails, _, profiles = pipeline.stages
    pipeline.tick(trails, 0)
    _read(pipeline, topics.TRAILS.name)
    pipeline.tick(profiles, 0, crash="apply")
    _send(pipeline, touch("t15", HANAKO, NEW_MAIL, occurred_at=ago(pipeline, 0)))
    _read(pipeline, topics.TOUCHPOINTS.name)
    pipeline.tick(trails, 0)
    _read(pipeline, topics.TRAILS.name)


def _what_is_not_read_yet(pipeline: Pipeline) -> None:
    """An answer, a link, a trail and a touch: of each stage's input something waits."""
    _read(pipeline, topics.LINK_REQUESTS.name)
    _send(pipeline, order("t16", NEWCOMER, LINE, amount="1234.5", occurred_at=ago(pipeline, 0)))
    _read(pipeline, topics.TOUCHPOINTS.name)
    _send(pipeline, touch("t17", NEWCOMER, occurred_at=ago(pipeline, 0)))


def _send(pipeline: Pipeline, one: Touchpoint, source: str = "web") -> None:
    pipeline.touch(one, source)


def _read(pipeline: Pipeline, topic: str) -> None:
    for place in pipeline.pending():
        if place.topic == topic:
            pipeline.process(place)


def _drain(pipeline: Pipeline) -> None:
    """Everything is read and all is told the time, in the same order each time."""
    for _ in range(3):
        while waiting := pipeline.pending():
            pipeline.process(waiting[0])
        for stage in pipeline.stages:
            pipeline.tick(stage, 0)


def places(pipeline: Pipeline) -> dict[str, Place]:
    """Return the places that the stages read, by their input."""
    return {place.topic: place for place in pipeline.places}
