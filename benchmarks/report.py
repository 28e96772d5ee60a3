"""Tables in Markdown, as docs/benchmarks.md shows them, and the same figures as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

Cell = str | float | int


class Table(NamedTuple):
    """Figures of one part; the first column names the row."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]

    def markdown(self) -> str:
        """Return the table with its title."""
        head = [self.columns, ["---", *("---:" for _ in self.columns[1:])]]
        lines = [*head, *([_text(cell) for cell in row] for row in self.rows)]
        return "\n".join([f"**{self.title}**\n", *(f"| {' | '.join(line)} |" for line in lines)])

    def figures(self) -> list[dict[str, Cell]]:
        """Return a dictionary for each row."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


def write_json(path: Path, tables: Sequence[Table]) -> None:
    """Write all tables by their titles."""
    content = {table.title: table.figures() for table in tables}
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def _text(cell: Cell) -> str:
    """Format a number with three significant digits and a separator of thousands."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, int) or abs(cell) >= 100:
        return f"{cell:,.0f}"
    return f"{cell:.3g}"
