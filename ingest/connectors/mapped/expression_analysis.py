"""Analysis of a JMESPath expression before it is used: its fields, its faults, its cost.

Pure functions of the parsed tree (`jmespath.parser`): nodes are dicts of `type`, `value` and
`children`; the children of a slice are numbers.

Inside a projection JMESPath sees one element and not what is around it, so that the work of an
expression is at most (its nodes) x (its copies) x (the size of the event). `copies` keeps the
second factor small: `[@, @] | [@, @] | …` would double its input at every step.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile
from math import prod
from typing import Any

Node = dict[str, Any]
#: Names of fields from the event down.
Path = tuple[str, ...]

_CHAINS = frozenset({"subexpression", "index_expression", "pipe"})
_PROJECTIONS = frozenset({"projection", "value_projection", "filter_projection", "flatten"})
#: Types of nodes whose children get the same value as the node itself.
_BRANCHES = frozenset(
    {
        "multi_select_list", "multi_select_dict", "key_val_pair", "function_expression",
        "or_expression", "and_expression", "not_expression", "comparator",
    }
)  # fmt: skip


def children(node: Node) -> list[Node]:
    """Return the nodes below a node."""
    return [child for child in node.get("children", ()) if isinstance(child, dict)]


def nodes(root: Node) -> Iterator[Node]:
    """Yield all nodes, without recursion: the tree may be too deep for it."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += children(node)


def depth(root: Node) -> int:
    """Return the number of levels of the tree."""
    level, levels = [root], 0
    while level:
        levels += 1
        level = [child for node in level for child in children(node)]
    return levels


def whole_path(node: Node) -> Path | None:
    """Return the path, if an expression is nothing but one (`a.b.c`, or `@` for the event)."""
    path = leading_path(node)
    plain = all(part["type"] in ("field", "subexpression", "current") for part in nodes(node))
    return path if plain else None


def leading_path(node: Node) -> Path:
    """Return the names of fields that an expression begins with: of `a.b[0].c` a and b."""
    if node["type"] == "field":
        return (node["value"],)
    if node["type"] == "subexpression":
        parts = node["children"]
        pure = list(takewhile(lambda part: whole_path(part) is not None, parts))
        rest = parts[len(pure) :][:1]
        return tuple(name for part in [*pure, *rest] for name in leading_path(part))
    if node["type"] in _CHAINS | _PROJECTIONS:
        return leading_path(node["children"][0])
    return ()


def read_paths(node: Node) -> Iterator[Path]:
    """Yield the fields that an expression uses as they are, also in functions and multi-selects.

    Of what is digested nothing can be read any more.
    """
    if node["type"] == "function_expression" and node["value"] == "digest":
        return
    path = whole_path(node)
    if path is not None:
        yield path
    elif node["type"] in _BRANCHES:
        for child in children(node):
            yield from read_paths(child)


def list_path(node: Node) -> Path | None:
    """Return the path of the list all of whose elements an expression gives.

    For instance `a.b`, `a.b[]`, `a.b[*]`.
    """
    if node["type"] == "projection" and node["children"][1]["type"] == "identity":
        node = node["children"][0]
        if node["type"] == "flatten":
            node = node["children"][0]
        if node["type"] == "identity":
            return ()
    return whole_path(node)


def copies(node: Node) -> int:
    """Return the most times that one part of the event can be in the result."""
    kind, below = node["type"], children(node)
    if kind in _BRANCHES:
        held = list(_held(node))
        return max(
            (sum(n for path, n in held if place[: len(path)] == path) for place, _ in held),
            default=1,
        )
    if kind == "filter_projection":
        left, right, condition = map(copies, below)
        return left * max(right, condition)
    return prod(map(copies, below))


def _held(node: Node) -> Iterator[tuple[Path, int]]:
    """Yield the parts of the event that sibling expressions hold, and how often each does."""
    below = children(node)
    if any(child["type"] == "expref" for child in below):
        yield (), prod(map(copies, below))
    elif node["type"] in _BRANCHES:
        for child in below:
            yield from _held(child)
    elif node["type"] != "literal":
        yield leading_path(node), copies(node)
