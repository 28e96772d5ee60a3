"""The contract of a connector: found by its entry point, as the connector itself is.

A package names it in the group `touchline.contracts`, under the connector's name: a subclass of
`ConnectorSuite` or `BatchConnectorSuite` that says what the provider sends and how it signs.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from ingest.connector import BatchConnector
from ingest.registry import ConnectorError, Registry

if TYPE_CHECKING:
    from ingest.testing.batch import BatchConnectorSuite
    from ingest.testing.suite import ConnectorSuite

GROUP = "touchline.contracts"
NEEDS = "pytest and hypothesis are needed to test a connector: pip install 'touchline[testing]'"


def load_contract(name: str) -> type[ConnectorSuite] | type[BatchConnectorSuite]:
    """Return the contract of an installed connector.

    Raises ConnectorError, with one line that says why: no such connector, no contract, one that
    cannot be imported or is for something else, or pytest and hypothesis are missing.
    """
    try:
        from ingest.testing.batch import BatchConnectorSuite  # noqa: PLC0415 - needs pytest
        from ingest.testing.suite import ConnectorSuite  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ConnectorError(NEEDS) from error
    connector = Registry().load(name)
    points = list(entry_points(group=GROUP, name=name))
    if not points:
        raise ConnectorError(
            f"connector {name!r} has no contract: no entry point of the group {GROUP}"
        )
    value = points[0].value
    try:
        loaded = points[0].load()
    except Exception as error:  # whatever a foreign module does while it is imported
        problem = f"{type(error).__name__}: {error}"
        raise ConnectorError(
            f"the contract of {name!r} ({value}) cannot be imported: {problem}"
        ) from error
    suite = BatchConnectorSuite if issubclass(connector, BatchConnector) else ConnectorSuite
    if not isinstance(loaded, type) or not issubclass(loaded, suite):
        raise ConnectorError(
            f"the contract of {name!r} ({value}) is no subclass of {suite.__name__}"
        )
    if loaded.name != name:
        raise ConnectorError(f"the contract of {name!r} ({value}) is for {loaded.name!r}")
    return loaded
