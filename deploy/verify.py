"""What is wrong with a configuration beyond its own file: sources, segments."""

from __future__ import annotations

from collections.abc import Callable

from deploy.config_file import ConfigurationError
from deploy.settings import Configuration
from deploy.stages import segments_of
from deploy.wiring import gateway_sources
from ingest.gateway.sources import Sources
from processors.segments import SegmentError


def problems(configuration: Configuration) -> list[str]:
    """Every problem, one line each, with file and line; none if all processes would start."""
    found: list[str] = []
    checks: tuple[Callable[[], object], ...] = (
        lambda: Sources(gateway_sources(configuration)),
        lambda: segments_of(configuration.settings),
    )
    for check in checks:
        try:
            check()
        except (ConfigurationError, SegmentError) as error:
            found += map(str, error.problems)
        except ValueError as error:  # sources that cannot stand beside each other
            found.append(str(configuration.problem(("sources",), str(error))))
    return found
