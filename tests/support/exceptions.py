"""Every exception class of ours, found by importing all modules."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

import deploy
import ingest
import processors
import schemas
import sinks
from schemas.errors import TouchlineError

PACKAGES = (schemas, ingest, processors, sinks, deploy)
#: A project of its own, which a plug-in's author begins with; and a program.
NOT_OURS = ("ingest.testing.template", "deploy.__main__", "ingest.testing.__main__")


def _modules() -> Iterator[str]:
    for package in PACKAGES:
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.startswith(NOT_OURS):
                yield module.name


def _ours(base: type[BaseException]) -> Iterator[type[BaseException]]:
    """Every exception class of ours below a base."""
    for cls in base.__subclasses__():
        if cls.__module__.partition(".")[0] in {package.__name__ for package in PACKAGES}:
            yield cls
        yield from _ours(cls)


for _name in _modules():
    importlib.import_module(_name)
OURS = sorted({*_ours(BaseException)}, key=lambda cls: cls.__qualname__)
FAILURES = [cls for cls in OURS if issubclass(cls, TouchlineError)]
