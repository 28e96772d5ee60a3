"""A batch is freed by its reference counts: the engine has switched off the collector of cycles.

One cycle through a batch keeps all of it, thousands of records, until the next full collection.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from processors.profiles.stage import ProfilesStage
from processors.stage import Record, Stage, Store
from schemas import topics
from schemas.identifiers import Identifier, IdentityPolicy
from tests.support.graph_log import Graph
from tests.support.homes import Home
from tests.support.pipeline import MemoryStore
from tests.support.touches import touch

HANAKO = ("customer_id", "hanako")
TARO = ("customer_id", "taro")
MAIL = ("email", "hanako@example.com")


@pytest.fixture
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def garbage(stage: Stage, store: Store, *records: Record) -> int:
    """Return the number of objects that only a collector can free after a batch."""
    gc.collect()
    stage.decide(records, store)
    return gc.collect()


@pytest.mark.usefixtures("_no_collector")
def test_a_batch_leaves_nothing_for_the_collector():
    home = Home()
    one, two = home.records(touch("a", HANAKO, MAIL), touch("b", TARO))
    cut = home.append(topics.TOUCHPOINTS.name, one.key or b"", one.value[:-9])
    assert garbage(home.stage, home.store, one, cut, two) == 0

    trails = [o for o in home.decide(one, two).decision.outputs if o.topic == topics.TRAILS.name]
    profiles = ProfilesStage.of(1, 1, (), IdentityPolicy())
    records = [Record(topics.TRAILS.name, 0, n, 1, o.key, o.value) for n, o in enumerate(trails)]
    assert len(records) == 2
    assert garbage(profiles, MemoryStore(profiles), *records) == 0

    graph = Graph(IdentityPolicy())
    graph.append((Identifier(*HANAKO), Identifier(*MAIL)), graph.now_ms)
    graph.append((Identifier(*TARO), Identifier(*MAIL)), graph.now_ms)
    assert garbage(graph.stage, graph.store, *graph.log) == 0
