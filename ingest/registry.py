"""The installed connectors: found by their entry points, made from a source's options.

A package brings a connector by publishing its class under the entry point group
`touchline.connectors`; the name of the entry point is the word used in `touchline.yaml`. The
built-in ones are declared in the same way. Nothing is imported before it is used, so a plug-in
that cannot be imported disturbs only the sources that name it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, cast

from pydantic import ValidationError

from ingest.connector import (
    INTERFACE_VERSION,
    AnyConnector,
    BatchConnector,
    WebhookConnector,
    secrets_among,
)
from schemas.errors import TouchlineError

GROUP = "touchline.connectors"


class ConnectorError(TouchlineError, ValueError):
    """A connector cannot be used; the message says why in one line and holds no secret."""


class Registry:
    """The connectors of an installation, by name."""

    def __init__(self, points: Iterable[EntryPoint] | None = None) -> None:
        """`points`: the entry points to use instead of the installed ones."""
        found = entry_points(group=GROUP) if points is None else points
        self._points = {point.name: point for point in found}

    def names(self) -> list[str]:
        """Return all names, sorted."""
        return sorted(self._points)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def package(self, name: str) -> str:
        """Return the distribution that brings a connector, for lists."""
        point = self._points.get(name)
        return point.dist.name if point is not None and point.dist is not None else ""

    def load(self, name: str) -> type[AnyConnector]:
        """Return the class. Raises ConnectorError: unknown, not importable, wrong interface."""
        point = self._points.get(name)
        if point is None:
            installed = ", ".join(self.names()) or "none"
            raise ConnectorError(f"there is no connector {name!r}; installed are: {installed}")
        try:
            loaded = point.load()
        except Exception as error:  # whatever a foreign module does while it is imported
            raise ConnectorError(
                f"connector {name!r} ({point.value}) cannot be imported: {type(error).__name__}: "
                f"{error}"
            ) from error
        return _checked(name, point.value, loaded)

    def create(self, name: str, options: Mapping[str, Any]) -> AnyConnector:
        """Make a connector for one source.

        `options` are the source's settings without those that all sources share. Raises
        ConnectorError that names the wrong option and what was expected, never a value.
        """
        cls = self.load(name)
        try:
            model = cls.options.model_validate(dict(options))
            # Constructors are not part of the abstract classes; each takes its own options.
            make = cast(Callable[[Any], AnyConnector], cls)
            made = make(model)
            made.masked = secrets_among(model)
            return made
        except ValidationError as error:
            raise ConnectorError(_explain(name, cls, error, options)) from None
        except ValueError as error:
            # A constructor refuses an option that only it can judge, a key's format for instance.
            raise ConnectorError(f"connector {name!r}: {error}") from None


def _checked(name: str, value: str, loaded: Any) -> type[AnyConnector]:
    if not isinstance(loaded, type) or not issubclass(loaded, (WebhookConnector, BatchConnector)):
        raise ConnectorError(
            f"connector {name!r} ({value}) is no subclass of WebhookConnector or BatchConnector"
        )
    if loaded.interface != INTERFACE_VERSION:
        raise ConnectorError(
            f"connector {name!r} ({value}) was written for version {loaded.interface} of the "
            f"connector interface; this is version {INTERFACE_VERSION}"
        )
    if loaded.name != name:
        raise ConnectorError(f"connector {name!r} ({value}) calls itself {loaded.name!r}")
    return loaded


def _explain(
    name: str, cls: type[AnyConnector], error: ValidationError, options: Mapping[str, Any]
) -> str:
    lines = []
    for problem in error.errors(include_url=False, include_input=False):
        option = _where(problem["loc"], options) or "options"
        if problem["type"] == "extra_forbidden" and "." in option:
            line = f"{option}: there is no such setting"
        elif problem["type"] == "extra_forbidden":
            known = ", ".join(cls.options.model_fields) or "none"
            line = f"{option} is no option of this connector, which has: {known}"
        elif problem["type"] == "missing":
            line = f"{option} is missing"
        elif problem["type"] == "union_tag_not_found":
            line = f"{option}: {problem['ctx']['discriminator']} is missing"
        elif problem["type"] == "union_tag_invalid":
            tags = problem["ctx"]["expected_tags"]
            line = f"{option}: {problem['ctx']['discriminator']} must be one of {tags}"
        else:
            line = f"{option}: {problem['msg'].removeprefix('Value error, ')}"
        if line not in lines:
            lines.append(line)
    return f"connector {name!r}: " + "; ".join(lines[:3])


def _where(location: tuple[int | str, ...], options: Any) -> str:
    """Return the place of a problem as the options have it, with dots.

    Each member of a union reports under a name of its own: those names are left out, and so is what
    the options say more shortly than the model.
    """
    parts: list[str] = []
    for i, part in enumerate(location):
        if isinstance(options, Mapping) and part in options:
            options = options[str(part)]
        elif isinstance(options, list | tuple) and isinstance(part, int) and part < len(options):
            options = options[part]
        elif i < len(location) - 1 or not isinstance(options, Mapping):
            continue
        parts.append(str(part))
    return ".".join(parts)
