"""Waiting for what happens elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest


@pytest.fixture
def wait_for() -> Callable[..., None]:
    """`wait_for(condition, timeout=10)`: poll until the condition is true, or fail."""

    def wait(condition: Callable[[], object], timeout: float = 10, interval: float = 0.05) -> None:
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline:
                pytest.fail(f"not true within {timeout} s: {condition}")
            time.sleep(interval)

    return wait
