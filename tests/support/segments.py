"""Segments of a test, and who came and went."""

from __future__ import annotations

from pathlib import Path

from deploy.config.segments import load_segments
from processors.segments import Segment
from schemas import topics
from tests.support.people import own
from tests.support.pipeline import Pipeline


def definitions(folder: Path, **conditions: str) -> tuple[Segment, ...]:
    """Return the segments of a folder with a file for each name and its condition."""
    folder.mkdir(exist_ok=True)
    for name, condition in conditions.items():
        text = f"name: {name}\ndescription: for the test\nwhen:\n  {condition}\n"
        (folder / f"{name}.yaml").write_text(text)
    return load_segments(folder)


def changes(pipeline: Pipeline, segment: str, one: tuple[str, str]) -> list[tuple[str, str]]:
    """(change, cause) of a profile in a segment, in their order, as the table keeps them."""
    found = pipeline.rows(topics.SEGMENT_CHANGES.name, "segment", "profile_id", "version")
    mine = [row for key, row in found.items() if key[:2] == (segment, own(one))]
    return [(r["change"], r["cause"]) for r in sorted(mine, key=lambda r: r["version"])]
