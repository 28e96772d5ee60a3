"""The pytest plug-in of Touchline, loaded wherever both are installed.

`pytest --touchline-connector NAME` tests a connector against its contract, besides what is tested
otherwise; the report ends with how many events a second it got through.
"""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any

import pytest

from ingest.registry import ConnectorError
from ingest.testing.contracts import load_contract

OPTION = "--touchline-connector"
#: The property of a test's report that holds a throughput.
THROUGHPUT = "events_per_second"

# So that a failing assertion shows its values.
pytest.register_assert_rewrite(
    "ingest.testing.promises", "ingest.testing.batch", "ingest.testing.values"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """See pytest."""
    parser.getgroup("touchline").addoption(
        OPTION,
        action="append",
        default=[],
        metavar="NAME",
        help="Hold an installed connector against its contract; may be given several times.",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Add the contracts of the connectors that are named."""
    for name in config.getoption(OPTION):
        try:
            suite = load_contract(name)
        except ConnectorError as problem:
            raise pytest.UsageError(str(problem)) from None
        namespace = types.ModuleType("touchline")
        module: Any = pytest.Module.from_parent(session, path=Path(__file__), nodeid="touchline")
        module.obj = namespace
        for part, tests in _suites(name, suite).items():
            setattr(namespace, part, tests)
            items += session.genitems(pytest.Class.from_parent(module, name=part))


def _suites(name: str, suite: type[Any]) -> dict[str, type[Any]]:
    variants = getattr(suite, "variants", {})
    return {name: suite, **{f"{name} {variant}": tests for variant, tests in variants.items()}}


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Show how fast the connectors were."""
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            if name == THROUGHPUT:
                connector = report.nodeid.split("::")[-2]
                terminalreporter.write_line(f"{connector}: {value:,} events a second")
