"""The Faust adapter: runs a stage (`processors.stage`) over Kafka, in batches.

Which of Faust's faults each override is for, and the tests: docs/faults.md, "Faust's own faults".
"""

from processors.engine.config import EngineConfig, changelogs, group
from processors.engine.hooks import EXIT_HALTED, Hooks
from processors.engine.metrics import COUNTERS, EngineMetrics, NoMetrics
from processors.engine.process import run_stage, serve

__all__ = [
    "COUNTERS",
    "EXIT_HALTED",
    "EngineConfig",
    "EngineMetrics",
    "Hooks",
    "NoMetrics",
    "changelogs",
    "group",
    "run_stage",
    "serve",
]
