"""Presets: the signature scheme and the mapping of a provider, as data.

A preset is a folder `presets/NAME` with a `preset.yaml` and `payloads/` after the provider's
documentation, which the contract suite holds it to. A source names it (`preset: brevo`) and adds
its secret; whatever else it states takes the place of the preset's.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from ingest.connectors.mapped.rules import Helper

FOLDER = Path(__file__).with_name("presets")


class Preset(BaseModel):
    """What `preset.yaml` holds. `source`: the address of the provider's documentation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    doc: str
    source: str
    signature: dict[str, Any]
    mapping: dict[str, Any]


@cache
def names() -> tuple[str, ...]:
    """Return the names of all presets, sorted."""
    return tuple(sorted(path.parent.name for path in FOLDER.glob("*/preset.yaml")))


@cache
def load(name: str) -> Preset:
    """Return a preset by its name, one of `names`."""
    text = (FOLDER / name / "preset.yaml").read_text(encoding="utf-8")
    return Preset.model_validate(yaml.safe_load(text))


def completed(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a source, with those of the preset that it names.

    Fields that only help are optional. A signature of another scheme than the preset's replaces
    it; one of the same scheme, and the mapping, replace it key by key. Raises ValidationError for
    a preset that is not there.
    """
    name = options.get("preset")
    if name is None:
        return dict(options)
    if name not in names():
        raise _unknown()
    preset = load(name)
    given = {("mapping" if key == "map" else key): value for key, value in options.items()}
    signature, mapping = given.get("signature"), given.get("mapping", {})
    if isinstance(signature, dict):
        same = signature.get("scheme") in (None, preset.signature["scheme"])
        given["signature"] = {**preset.signature, **signature} if same else signature
    if isinstance(mapping, dict):
        given["mapping"] = {"optional": get_args(Helper), **preset.mapping, **mapping}
    return given


def _unknown() -> ValidationError:
    # Of this option alone: what the preset would have brought is not missing.
    text = f"there is no such preset, expected one of {', '.join(names())}"
    problem = PydanticCustomError("unknown_preset", "{text}", {"text": text})
    return ValidationError.from_exception_data(
        "preset", [InitErrorDetails(type=problem, loc=("preset",), input=None)]
    )
