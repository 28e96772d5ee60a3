"""The Faust adapter: runs a stage (`processors.stage`) over Kafka, in batches.

docs/faults.md, "Faust's own faults", lists the fault that each override works around, and its
tests.
"""

from processors.engine.config import EngineConfig
from processors.engine.hooks import EXIT_HALTED, Hooks
from processors.engine.metrics import COUNTERS, EngineMetrics, NoMetrics
from processors.engine.process import run_stage, serve
from processors.stage_topics import changelogs, group

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
