"""Waiting for what happens elsewhere: a condition is polled until it is true, or the test fails."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable

import pytest


def wait_until(
    condition: Callable[[], object],
    within: float = 60,
    every: float = 0.1,
    instead: Callable[[], object] = lambda: "not true",
) -> None:
    """Wait for a condition; what is there `instead` stands in the failure."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"after {within} s: {instead()}"
        time.sleep(every)


async def until(condition: Callable[[], object], within: float = 20) -> None:
    """Wait for a condition, plain or a coroutine function, without blocking the loop."""
    deadline = time.monotonic() + within
    while True:
        answer = condition()
        if inspect.isawaitable(answer):
            answer = await answer
        if answer:
            return
        assert time.monotonic() < deadline, f"not true within {within} s: {condition}"
        await asyncio.sleep(0.02)


@pytest.fixture
def wait_for() -> Callable[..., None]:
    """`wait_for(condition, timeout=10)`: see `wait_until`."""

    def wait(condition: Callable[[], object], timeout: float = 10, interval: float = 0.05) -> None:
        wait_until(condition, timeout, interval, lambda: f"not true: {condition}")

    return wait
