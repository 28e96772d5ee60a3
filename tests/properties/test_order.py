"""Order of arrival does not matter: any order, duplication, delay or crash, the same answer."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.config.segments import load_segments
from schemas.touchpoint import Touchpoint
from tests.support.pipeline import Pipeline

SEGMENTS = """
name: {name}
description: for the test
when:
{when}
"""
DEFINITIONS = {
    "buyers": "  count: {type: order_completed, at_least: 2, within: 7d}",
    "spenders": "  sum: {type: order_completed, currency: JPY, at_least: 3000}",
    "quiet": "  last_touch: {not_within: 2d}",
    "from_shop": "  count: {source: shop, at_least: 1}",
    "reachable": "  all:\n    - identifier: {kind: email, exists: true}\n"
    "    - consent: {purpose: marketing, is: true}",
    "tokyo": "  trait: {name: city, equals: Tokyo}",
}
START = datetime(2026, 4, 20, tzinfo=UTC)


@pytest.fixture(scope="module")
def segments(tmp_path_factory):
    folder: Path = tmp_path_factory.mktemp("segments")
    for name, when in DEFINITIONS.items():
        (folder / f"{name}.yaml").write_text(SEGMENTS.format(name=name, when=when))
    return load_segments(folder)


# One person has one customer id, one e-mail, one line id and two browsers of their own: links
# without conflicts, in chains.
@st.composite
def touches(draw):
    count = draw(st.integers(1, 14))
    events = []
    for number in range(count):
        person = draw(st.integers(1, 3))
        own = [
            ("customer_id", f"c{person}"),
            ("email", f"p{person}@example.com"),
            ("line", f"U{person}"),
            ("anonymous_id", f"a{person}"),
            ("anonymous_id", f"b{person}"),
            ("device_id", f"d{person}"),
        ]
        chosen = draw(st.lists(st.sampled_from(own), min_size=1, max_size=3, unique=True))
        order = draw(st.booleans())
        at = START + timedelta(minutes=draw(st.integers(0, 60 * 24 * 30)))
        events.append(
            Touchpoint.model_validate(
                {
                    "event_id": f"e{number}",
                    "channel": "commerce" if order else "web",
                    "type": "order_completed" if order else "page_viewed",
                    "identifiers": [{"kind": k, "value": v} for k, v in chosen],
                    "occurred_at": at.isoformat(),
                    "traits": draw(
                        st.sampled_from([{}, {"city": "Tokyo"}, {"city": None}, {"city": "Kyoto"}])
                    ),
                    "consent": draw(st.sampled_from([{}, {"marketing": True}])),
                    "value": {"amount": draw(st.integers(1, 5000)), "currency": "JPY"}
                    if order
                    else None,
                    "duration_s": 1.5,
                }
                | ({} if order else {"value": None})
            )
        )
    return events


def answer(events, segments, seed, partitions=2, **faults):
    rng = random.Random(seed)
    pipeline = Pipeline(segments=segments, rng=rng, partitions=partitions, **faults)
    for event in events:
        pipeline.touch(event, "shop" if event.type == "order_completed" else "web")
        while rng.random() < 0.7 and pipeline.step():
            pass
    pipeline.crashes = pipeline.echoes = 0.0
    pipeline.run()
    pipeline.sleep(1000)
    return pipeline.answer()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), events=touches(), seed=st.integers(0, 2**32))
def test_order_and_repetition_do_not_matter(segments, data, events, seed):
    shuffled = data.draw(st.permutations(events))
    repeated = [*shuffled, *data.draw(st.lists(st.sampled_from(events), max_size=5))]
    assert answer(repeated, segments, seed) == answer(events, segments, 1)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(events=touches(), seed=st.integers(0, 2**32))
def test_crashes_do_not_matter(segments, events, seed):
    assert answer(events, segments, seed, crashes=0.3) == answer(events, segments, 1)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(events=touches(), seed=st.integers(0, 2**32))
def test_old_records_written_once_more_do_not_matter(segments, events, seed):
    assert answer(events, segments, seed, echoes=0.3) == answer(events, segments, 1)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(events=touches(), seed=st.integers(0, 2**32))
def test_the_number_of_partitions_does_not_matter(segments, events, seed):
    assert answer(events, segments, seed, partitions=3) == answer(events, segments, 1)
