"""Origin of a configured value: an expression, one or several columns, or a fixed value.

In the configuration an expression alone is written as text, and one with further settings as an
object with `expr`. Instead of `expr` there may be a `column` (a field, or several that are joined)
or a fixed `value`, as in the mapping of a file (docs/mapping.md).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator

from ingest.connectors.mapped.expressions import Compiled, Expression, Scope
from ingest.kit.fields import id_text

#: Settings that state where a value comes from.
_ORIGINS = frozenset({"expr", "column", "value"})


class Section(BaseModel):
    """The base of all parts of a mapping."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


def as_object(name: str) -> Callable[[object], object]:
    """Return a validator that reads text as an object with this one field, a list as columns."""

    def read(value: object) -> object:
        if isinstance(value, dict | BaseModel):
            return value
        return {"column": value} if isinstance(value, list) else {name: value}

    return read


def _plain(value: object) -> object:
    if not isinstance(value, str | bool | int | float):
        raise ValueError("must be text, a number, true or false")
    return value


Plain = Annotated[Any, BeforeValidator(_plain)]


def word(value: object) -> str | None:
    """Return a value as a word of a table: text, number or truth value; None for all others."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, float) and id_text(value) is None else id_text(value)


class JoinedFields(Expression):
    """The texts of several fields, joined by a space; fields without a text are left out."""

    __slots__ = ()

    def search(self, value: Any, scope: Scope) -> Any:
        """Return the text, or None. See `Expression`."""
        texts = [word(one) or "" for one in super().search(value, scope) or ()]
        return " ".join(filter(None, map(str.strip, texts))) or None


def _column(given: object) -> Expression:
    """Return the expression of a field, or of a list of them. Raises ValueError."""
    paths = [_path(name) for name in (given if isinstance(given, list) else [given])]
    if not all(paths) or not paths:
        raise ValueError("column: expected names of fields with dots between them, or a list")
    return Expression(paths[0]) if len(paths) == 1 else JoinedFields(f"[{', '.join(paths)}]")


def _path(name: object) -> str:
    """Return names with dots between them as an expression; empty if they are none."""
    names = name.split(".") if isinstance(name, str) else [""]
    return ".".join(map(json.dumps, names)) if all(names) else ""


def _constant(given: object) -> Expression:
    """Return the expression of a fixed value. Raises ValueError."""
    return Expression("`" + json.dumps(_plain(given)).replace("`", "\\`") + "`")


def with_one_origin(given: dict[str, Any], fixed: str = "") -> dict[str, Any]:
    """Return settings whose origin is `expr`, whichever way it is written.

    A `value` is left to the setting `fixed`, if one is named. Raises ValueError for two origins.
    """
    if len(_ORIGINS & given.keys()) > 1:
        raise ValueError("expected one of expr, column and value")
    others = {name: part for name, part in given.items() if name not in ("column", "value")}
    if "column" in given:
        return {**others, "expr": _column(given["column"])}
    if "value" not in given:
        return others
    return (
        {**others, fixed: given["value"]}
        if fixed
        else {**others, "expr": _constant(given["value"])}
    )


class Origin(Section):
    """The origin of a value: an expression, whichever way it is written."""

    expr: Compiled

    @model_validator(mode="before")
    @classmethod
    def _as_expression(cls, given: Any) -> Any:
        return with_one_origin(given) if isinstance(given, dict) else given


def inside(part: object) -> list[object]:
    """Return the parts of a part of a mapping."""
    if isinstance(part, BaseModel):
        return [value for _, value in part]
    if isinstance(part, dict):
        return list(part.values())
    return list(part) if isinstance(part, list | tuple) else []


def expressions(part: object) -> list[Expression]:
    """Return all expressions in a part of a mapping."""
    if isinstance(part, Expression):
        return [part]
    return [found for one in inside(part) for found in expressions(one)]
