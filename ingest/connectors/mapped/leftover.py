"""The rest of an event without its mapped fields, and the size of an object."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ingest.connectors.mapped.expression_analysis import Path
from ingest.connectors.mapped.expressions import Expression
from ingest.connectors.mapped.origin import inside
from ingest.connectors.mapped.values import Computed, Word

#: Paths by their names, one inside the other; where one ends there is nothing below.
Tree = dict[str, "Tree"]


def tree(paths: Iterable[Path]) -> Tree:
    """Return the paths as a tree. A path that goes on below the end of another adds nothing."""
    root: Tree = {}
    for path in sorted(paths, key=len, reverse=True):
        *above, last = path
        at = root
        for name in above:
            at = at.setdefault(name, {})
        at[last] = {}
    return root


def without(event: dict[str, Any], taken: Tree) -> dict[str, Any]:
    """Return a copy of an event without these paths, and without objects that are then empty."""
    left: dict[str, Any] = {}
    for name, value in event.items():
        below = taken.get(name)
        if below is None:
            left[name] = value
        elif below and isinstance(value, dict):
            if rest := without(value, below):
                left[name] = rest
        elif below and value is not None:
            left[name] = value
    return left


def taken_by(part: object) -> set[Path]:
    """Return the paths whose values are in a field of the touchpoint as they are.

    Paths whose values are translated are not among them: of a word that a table does not list
    nothing would be left.
    """
    if isinstance(part, Expression):
        return {path for path in part.reads if path}
    if isinstance(part, Computed | Word) and part.changes_words:
        return set()
    return {path for one in inside(part) for path in taken_by(one)}


def is_larger(value: object, limit: int) -> bool:
    """Return True if a JSON value has more values and characters than `limit`.

    Stops as soon as this is known: an expression may name one part of an event many times, so that
    the value is small until it is written.
    """
    waiting = [value]
    while waiting:
        one = waiting.pop()
        limit -= 1 + (len(one) if isinstance(one, str) else 0)
        if limit < 0:
            return True
        if isinstance(one, dict):
            limit -= sum(map(len, one))
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
    return False
