"""The faults, by name. Each is a context: it begins on entering, and is over on leaving."""

from __future__ import annotations

from tests.faults.faults import clickhouse, kafka, processes, state
from tests.faults.faults.fault import Fault

FAULTS: dict[str, Fault] = {
    fault.name: fault for module in (processes, state, kafka, clickhouse) for fault in module.FAULTS
}

__all__ = ["FAULTS", "Fault"]
