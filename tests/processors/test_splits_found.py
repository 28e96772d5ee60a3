"""Splits: cases that the state machine found, one each."""

from __future__ import annotations

import pytest

from schemas.identifiers import Identifier, IdentityPolicy
from tests.processors.graph_log import Graph
from tests.processors.test_graph import HANAKO, browser, device, email, people
from tests.processors.test_splits import H, split


@pytest.fixture
def graph() -> Graph:
    return Graph(IdentityPolicy())


def test_a_split_from_somebody_unknown_takes_nobody_else_apart(graph):
    graph.see(HANAKO, H)
    split(graph, HANAKO, against=[Identifier("customer_id", "nobody knows")])
    assert graph.people() == people("hanako h@x.jp")
