"""Checks of a configuration beyond its own file: sources, segments, tracking plans."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from deploy.config.config_file import ConfigurationError
from deploy.config.settings import Configuration
from deploy.config.tracking_plan import read_plan
from deploy.runtime.factories.gateway import gateway_sources
from deploy.runtime.factories.stages import segments_of
from ingest.gateway.protocols import SourcesClash
from ingest.gateway.sources import Sources
from processors.segments import SegmentError

#: Settings that name a file.
_FILES = tuple(
    (section, name)
    for section in ("kafka", "clickhouse")
    for name in ("ssl_cafile", "ssl_certfile", "ssl_keyfile")
)


def problems(configuration: Configuration) -> list[str]:
    """Return every problem as one line with file and line; none if all processes would start."""
    found: list[str] = []
    plan = configuration.settings.tracking_plan
    found += _missing_files(configuration)
    checks: tuple[Callable[[], object], ...] = (
        lambda: Sources(gateway_sources(configuration)),
        lambda: segments_of(configuration.settings),
        lambda: plan and read_plan(plan),
    )
    for check in checks:
        try:
            check()
        except (ConfigurationError, SegmentError) as error:
            # The plan of all sources is also read for each source that enforces it.
            found += (line for line in map(str, error.problems) if line not in found)
        except SourcesClash as error:
            found.append(str(configuration.problem(("sources",), str(error))))
    return found


def _missing_files(configuration: Configuration) -> Iterator[str]:
    """Yield a problem for each file of a certificate or a key that cannot be read."""
    for section, name in _FILES:
        path = getattr(getattr(configuration.settings, section), name)
        if path is not None and not os.access(path, os.R_OK):
            where = (section, name)
            yield str(configuration.problem(where, f"the file {path} is not there or not readable"))
