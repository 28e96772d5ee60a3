"""The extra `local`: packages that only the embedded stack and the demo need."""

from __future__ import annotations

from importlib.util import find_spec

from schemas.errors import TouchlineError

#: The embedded Kafka, the embedded ClickHouse, the demo's report: the packages that they import.
BROKER, ENGINE, REPORT = "confluent_kafka", "chdb", "rich"


class ExtraMissing(TouchlineError):
    """Packages of the extra `local` are not installed; the message says how to install them."""


def require_packages(*names: str) -> None:
    """Raise `ExtraMissing` unless these packages are installed. None of them is imported."""
    if missing := [name for name in names if find_spec(name) is None]:
        raise ExtraMissing(
            f"this needs packages that are not installed ({', '.join(missing)}): "
            "pip install 'touchline[local]'"
        )
