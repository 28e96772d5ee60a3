"""docs/operations.md is complete: every command, setting and metric stands there."""

from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from deploy.config.settings import Settings
from deploy.runtime.metrics.catalogue import CATALOGUE, PREFIX

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")


def settings(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from settings(inner)
        else:
            yield name


def test_every_setting_is_described():
    known = [name for name in settings(Settings) if name != "sources"]
    assert "bootstrap_servers" in known
    words = PAGE.replace("`", " ").replace(".", " ").replace(",", " ").split()
    assert not set(known) - set(words)


def test_every_metric_is_described_as_in_the_catalogue():
    rows = [line.strip("| ").split(" | ") for line in PAGE.splitlines() if PREFIX in line]
    described = {cells[0].strip("`"): cells[1:] for cells in rows}
    assert set(described) == {PREFIX + metric.name for metric in CATALOGUE}
    for metric in CATALOGUE:
        kind, labels, doc = (cell.strip() for cell in described[PREFIX + metric.name])
        assert (kind, doc) == (metric.kind.__name__.lower(), metric.doc)
        assert labels == ", ".join(metric.labels)
