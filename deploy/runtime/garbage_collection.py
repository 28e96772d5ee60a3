"""Python's cyclic garbage collector in servers: it runs rarely and skips startup objects."""

from __future__ import annotations

import gc

#: New objects, net of those freed, before a collection; the default of 700 is one small batch.
_NEW_OBJECTS = 100_000


def tune_garbage_collection() -> None:
    """Make collections rare. Call this once everything is loaded.

    Requests and batches are freed by their reference counts, so a collection finds next to nothing;
    but each one walks through the objects in use, and a full one through all modules too.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, *gc.get_threshold()[1:])
