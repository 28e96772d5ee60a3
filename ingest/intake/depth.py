"""The depth of a JSON text, measured before any decoder sees it: most decoders recurse."""

from __future__ import annotations

_NOT_STRUCTURE = bytes(set(range(256)) - set(b'[]{}"\\'))
_ONE_KIND = bytes.maketrans(b"{}", b"[]")


def depth(json: bytes, limit: int) -> int:
    """Return the nesting depth of arrays and objects in a JSON text, at most `limit + 1`.

    Works by deleting: escapes, then strings, then innermost pairs, level by level, each with one
    pass at the speed of memory. Text that is not JSON gives some number; its parser reports it.
    """
    if b"\\" in json:
        json = json.replace(b"\\\\", b"").replace(b'\\"', b"")
    # Two quotes side by side are a string without structure, or nothing between two strings.
    marks = json.translate(None, _NOT_STRUCTURE).replace(b'""', b"")
    if b'"' in marks:
        marks = b"".join(marks.split(b'"')[::2])
    marks = marks.translate(_ONE_KIND, b"\\")
    level = 0
    while marks and level <= limit:
        inner = marks.replace(b"[]", b"")
        if len(inner) == len(marks):
            # Never closed: as deep as brackets open.
            return min(level + inner.count(b"["), limit + 1)
        # A pair that stands beside another is of the same level.
        marks = inner
        level += 1
    return level
