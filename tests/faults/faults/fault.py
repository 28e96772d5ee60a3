"""A fault that a round injects into its target, for a while."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.faults.target import Target

Inject = Callable[[Target, random.Random], contextlib.AbstractContextManager[Any]]


@dataclass(frozen=True, slots=True)
class Fault:
    """`inject` makes it happen; when its context is left the fault is over.

    It may do what it can to a target in which another fault is at work.
    """

    name: str
    doc: str
    inject: Inject
    #: For how long it goes on, in seconds, at least and at most.
    lasts: tuple[float, float] = (0.5, 5.0)


def fault(
    name: str, lasts: tuple[float, float] = (0.5, 5.0)
) -> Callable[[Callable[[Target, random.Random], Iterator[None]]], Fault]:
    """Make a fault of a generator: up to its `yield` it begins, after that it ends."""

    def made(function: Callable[[Target, random.Random], Iterator[None]]) -> Fault:
        doc = (function.__doc__ or "").strip()
        return Fault(name, doc, contextlib.contextmanager(function), lasts)

    return made
