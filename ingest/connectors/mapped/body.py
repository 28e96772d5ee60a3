"""The body of a request as JSON: JSON itself, a form, or the JSON in a field of a form.

A form may be URL-encoded or multipart, of which the files are left out.

The names of a form's fields nest as PHP and others write them: `data[merges][FNAME]` is FNAME in
merges in data, and `ids[]`, or a name that is there twice, a list.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import StringConstraints

from ingest.connector import Request
from ingest.connectors.mapped.origin import Section
from ingest.kit.forms import Form, posted_form
from ingest.request import decode_json
from schemas.rejection import Rejection

_NESTED = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])+)")
#: Most names inside each other; a field with more keeps its name as it came.
_DEEPEST = 16


class FormField(Section):
    """A form of which one field holds the body, as JSON."""

    form: Annotated[str, StringConstraints(min_length=1)]


#: Option: the form of bodies; without it the Content-Type tells.
BodyRule = Literal["json", "form"] | FormField


def opened(request: Request, rule: BodyRule | None) -> object | Rejection:
    """Return the content of a body, or an `unreadable` rejection.

    A body of JSON is taken where a form is expected too: what is kept of one event is JSON.
    """
    is_json = request.body.lstrip()[:1] in (b"{", b"[")
    if rule is None:
        rule = "json" if posted_form(request) is None else "form"
    if rule == "json" or is_json:
        return request.json
    posted = posted_form(request)
    form = posted.fields if isinstance(posted, Form) else posted or request.form
    if isinstance(form, Rejection):
        return form
    if isinstance(rule, FormField):
        return _opened_field(request, form, rule.form)
    try:
        "".join(name + value for name, value in form).encode()
    except UnicodeEncodeError:
        return Rejection("unreadable", "the body: is not a form in UTF-8", request.body)
    if not form:
        return Rejection("unreadable", "the body: is not a form with fields", request.body)
    return nested(form)


def _opened_field(request: Request, form: Iterable[tuple[str, str]], field: str) -> object:
    text = dict(form).get(field)
    if text is None:
        return Rejection("unreadable", f"the body: is no form with {field}", request.body)
    found = decode_json(text.encode("utf-8", "surrogateescape"))
    if isinstance(found, Rejection):
        detail = f"{field}: {found.detail.removeprefix('the body: ')}"
        return replace(found, detail=detail, payload=request.body)
    return found


def nested(form: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return the fields of a form as an object, nested as their names say.

    A field that contradicts one before it (`a=1&a[b]=2`) keeps its whole name.
    """
    root: dict[str, Any] = {}
    for name, value in form:
        path = _path(name)
        if not _put(root, path, value):
            _add(root, name, value)
    return {name: _listed(value) for name, value in root.items()}


def _path(name: str) -> list[str]:
    match = _NESTED.fullmatch(name)
    if match is None:
        return [name]
    path = [match[1], *match[2][1:-1].split("][")]
    return path if len(path) <= _DEEPEST and "" not in path[:-1] else [name]


def _put(root: dict[str, Any], path: list[str], value: str) -> bool:
    """Put a value at a path; return False if a value stands in its way."""
    *above, last = path
    at = root
    for name in above:
        at = at.setdefault(name, {})
        if not isinstance(at, dict):
            return False
    if isinstance(at.get(last), dict):
        return False
    if last or not above:
        _add(at, last, value)
    else:
        at[str(len(at))] = value
    return True


def _add(fields: dict[str, Any], name: str, value: str) -> None:
    """Put a value into an object; values of one name become a list."""
    if name not in fields:
        fields[name] = value
    elif isinstance(fields[name], list):
        fields[name].append(value)
    else:
        fields[name] = [fields[name], value]


def _listed(value: Any) -> Any:
    """Return a value in which objects whose names count from 0 are lists."""
    if not isinstance(value, dict):
        return value
    inner = {name: _listed(one) for name, one in value.items()}
    counted = list(inner) == [str(i) for i in range(len(inner))]
    return list(inner.values()) if counted else inner
