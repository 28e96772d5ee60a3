"""The Faust adapter: runs a stage (`processors.stage`) over Kafka, in batches.

- `process`: one stage as a process; `config` and `hooks` are given to it
- `runner`: carries out decisions, which `decision_packer` packs; `ticks` does so once a second
- `partition_scheduler`, `inputs`, `gap_detector`: one batch of a partition at a time, none left out
- `stage_store`, `partitions`, `store`, `seen`: the rows, the memory and the ids that were seen
- `producer`, `packing`, `rejects`: what is sent
- `app`, `consumer`, `tables`: Faust's classes with our overrides; `static_membership` beside them

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
