"""The errors in a schema of a tracking plan, each with its place in the file."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from jsonschema_rs import Draft202012Validator

from ingest.intake.plan import FIELDS, compiled

DRAFT = "https://json-schema.org/draft/2020-12/schema"
Location = tuple[str | int, ...]
_META = Draft202012Validator({"$ref": DRAFT})
_PATTERNS = ("pattern", "patternProperties")


def problems(schema: Any) -> Iterator[tuple[Location, str]]:
    """Yield everything that is wrong, in the order of finding; nothing if it can be used."""
    if not isinstance(schema, dict):
        yield (), "expected a JSON Schema, a mapping"
        return
    found = False
    for location, message in _problems(schema):
        found = True
        yield location, message
    if found:
        return
    try:
        compiled(schema)
    except ValueError as error:
        # Errors that the meta-schema does not find: patterns, and references with a name.
        location = tuple(getattr(error, "instance_path", ()))
        yield location, _uncompiled(location)


def _problems(schema: dict[str, Any]) -> Iterator[tuple[Location, str]]:
    if schema.get("$schema", DRAFT) != DRAFT:
        yield ("$schema",), f"$schema: expected {DRAFT}, or nothing"
        return
    for error in _META.iter_errors(schema):
        location = tuple(error.instance_path)
        yield location, f"{_dotted(location)}: {_wanted(location)}"
    yield from _references(schema, schema, ())
    yield from _fields(schema)


def _wanted(location: Location) -> str:
    name = str(location[-1]) if location else ""
    by_name = {
        "type": "expected one of null, boolean, integer, number, string, array, object, or a list",
        "required": "expected a list of names, each once",
        "enum": "expected a list of values",
        "properties": "expected a mapping of names to schemas",
    }
    return by_name.get(name, "is not what JSON Schema allows here")


def _references(part: Any, root: Any, location: Location) -> Iterator[tuple[Location, str]]:
    """Yield references that lead nowhere: nothing is fetched, and each file stands alone."""
    items = part.items() if isinstance(part, dict) else ()
    for key, value in enumerate(part) if isinstance(part, list) else items:
        here = (*location, key)
        if key in ("$ref", "$dynamicRef") and isinstance(value, str):
            if not value.startswith("#"):
                yield (
                    here,
                    f"{_dotted(here)}: expected a reference within the file, such as #/$defs/x",
                )
            elif value.startswith("#/") and not _leads(value, root):
                yield here, f"{_dotted(here)}: leads nowhere in this file"
        elif key not in ("enum", "const", "default", "examples"):
            yield from _references(value, root, here)


def _leads(pointer: str, root: Any) -> bool:
    for step in pointer.removeprefix("#/").split("/"):
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(root, list) and name.isdecimal() and int(name) < len(root):
            root = root[int(name)]
        elif isinstance(root, dict) and name in root:
            root = root[name]
        else:
            return False
    return True


def _fields(schema: dict[str, Any]) -> Iterator[tuple[Location, str]]:
    """Yield fields at the top that a touchpoint does not have: most likely event properties."""
    named: list[tuple[Location, object]] = []
    if isinstance(properties := schema.get("properties"), dict):
        named += [(("properties", name), name) for name in properties]
    if isinstance(required := schema.get("required"), list):
        named += [(("required", number), name) for number, name in enumerate(required)]
    for location, name in named:
        if isinstance(name, str) and name not in FIELDS:
            near = get_close_matches(name, FIELDS, 1)
            hint = f"did you mean {near[0]}? " if near else ""
            yield (
                location,
                f"{name}: is no field of a touchpoint; {hint}what an event has of its own stands "
                "in its field properties: properties.properties",
            )


def _uncompiled(location: Location) -> str:
    if any(name in location for name in _PATTERNS):
        return (
            f"{_dotted(location)}: expected a regular expression, without look-around and back "
            "references"
        )
    return f"{_dotted(location)}: cannot be used as a JSON Schema of draft 2020-12"


def _dotted(location: Location) -> str:
    return ".".join(map(str, location)) or "the schema"
