"""The files of the versions: one folder each, one file a form, one line an example.

An example has its key, its record time where it stands on a topic, and its bytes, each as `text`
where it is text and as `hex` otherwise; and what it `says`, unless the text says it itself.
`system.json` says where the system stopped: its time, and how far each input was read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from processors.engine.packing import unpack_seen
from processors.stage import Decision, Record
from tests.golden import system
from tests.golden.forms import FORMS, STAGE_OF, Example
from tests.support.pipeline import Pipeline

FOLDER = Path(__file__).parent
SYSTEM = "system"
WRITE = "python -m tests.golden write"


class Kept(NamedTuple):
    """An example as a file has it."""

    example: Example
    says: Any


def versions() -> list[int]:
    """Those that are kept, the oldest first."""
    return sorted(int(folder.name[1:]) for folder in FOLDER.glob("v*") if folder.is_dir())


def folder_of(version: int) -> Path:
    return FOLDER / f"v{version}"


def names(version: int) -> list[str]:
    """The forms that a version has."""
    found = (path.stem for path in folder_of(version).glob("*.json"))
    return sorted(name for name in found if name != SYSTEM)


@lru_cache
def kept(version: int, name: str) -> list[Kept]:
    """The examples of a form."""
    lines = json.loads((folder_of(version) / f"{name}.json").read_text())
    return [Kept(_example(line), _says(line)) for line in lines]


@lru_cache
def written_today() -> Mapping[str, Sequence[Example]]:
    """Return the bytes of every form as today's code writes them."""
    stopped = system.stopped()
    return {name: form.write(stopped) for name, form in FORMS.items()}


@lru_cache
def text_of(name: str) -> str:
    """The file of a form as today's code writes it."""
    lines = (_line(one, FORMS[name].read(one)) for one in written_today()[name])
    return "[\n" + ",\n".join(lines) + "\n]\n"


def system_text() -> str:
    """The file `system.json` of today."""
    stopped = system.stopped()
    places = system.places(stopped)
    read = {topic: stopped.committed.get(place, 0) for topic, place in places.items()}
    return json.dumps({"now_ms": stopped.now_ms, "read": read}, indent=1) + "\n"


def write(folder: Path, *, again: bool = False) -> Iterator[str]:
    """Write the files of the present version; what was written, changed or refused, a line each.

    A file that would change is left as it is, unless `again`.
    """
    folder.mkdir(exist_ok=True)
    texts = {name: text_of(name) for name in FORMS} | {SYSTEM: system_text()}
    for name, text in texts.items():
        path = folder / f"{name}.json"
        if not path.exists():
            yield f"{path.name}: new"
        elif path.read_text() == text:
            continue
        elif not again:
            yield f"{path.name}: CHANGED, left as it is (see --again)"
            continue
        else:
            yield f"{path.name}: written again"
        path.write_text(text)


def restored(version: int) -> Pipeline:
    """The system of a version as today's release finds it when it starts."""
    pipeline = system.empty()
    state = json.loads((folder_of(version) / f"{SYSTEM}.json").read_text())
    pipeline.now_ms = state["now_ms"]
    examples = {name: [one.example for one in kept(version, name)] for name in names(version)}
    for name, records in examples.items():
        if name.startswith("topic."):
            topic = name.removeprefix("topic.")
            pipeline.logs[topic, 0] = [
                Record(topic, 0, offset, one.time_ms, one.key, one.value)
                for offset, one in enumerate(records)
            ]
    for stage in pipeline.stages:
        mine = (name for name in examples if STAGE_OF.get(name) == stage.name)
        rows = {one.key: one.value for name in mine for one in examples[name]}
        pipeline.store(stage, 0).apply(Decision(rows=rows))
        if stage.deduplicates:
            for one in examples["changelog.seen"]:
                seen = {entry.hash: entry.offset for entry in unpack_seen(one.value)}
                pipeline.store(stage, 0).seen.update(seen)
    for topic, place in system.places(pipeline).items():
        pipeline.positions[place] = pipeline.committed[place] = state["read"][topic]
    return pipeline


def _line(one: Example, says: Any) -> str:
    line: dict[str, Any] = {}
    if one.key:
        line |= _written("key", one.key)
    if one.time_ms:
        line["time"] = one.time_ms
    line |= _written("value", one.value)
    if not (one.value.startswith(b"{") and says == json.loads(one.value)):
        line["says"] = says
    return json.dumps(line)


def _written(what: str, data: bytes) -> dict[str, str]:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return {f"{what}_hex": data.hex()}
    readable = all(char.isprintable() or char == "\x1f" for char in text)
    return {what: text} if readable and text else {f"{what}_hex": data.hex()}


def _example(line: Mapping[str, Any]) -> Example:
    return Example(_data(line, "value"), _data(line, "key"), line.get("time", 0))


def _data(line: Mapping[str, Any], what: str) -> bytes:
    if what in line:
        return str(line[what]).encode()
    return bytes.fromhex(line.get(f"{what}_hex", ""))


def _says(line: Mapping[str, Any]) -> Any:
    return line["says"] if "says" in line else json.loads(line["value"])
