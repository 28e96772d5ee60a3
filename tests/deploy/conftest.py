"""The stages in memory with a real ClickHouse behind them."""

from __future__ import annotations

import pytest

from tests.support.deployment import World
from tests.support.sinking import Store


@pytest.fixture
def world(store: Store) -> World:
    """The stages and a real ClickHouse that shows what they publish."""
    return World(store)
