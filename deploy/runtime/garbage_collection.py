"""Python's cyclic garbage collector in processes that serve: rare, and not over what stays."""

from __future__ import annotations

import gc

#: New objects, net of those freed, before a collection; the default of 700 is one small batch.
_NEW_OBJECTS = 100_000


def collect_rarely() -> None:
    """Call it once everything is loaded.

    Requests and batches are freed by their reference counts, so a collection finds next to
    nothing; but each one walks through what is in hand, and a full one through all modules too.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, *gc.get_threshold()[1:])
