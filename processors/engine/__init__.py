"""The Faust adapter: runs a stage (`processors.stage`) over Kafka, in batches.

process               one stage as a process
config, hooks         its configuration; its clock, metrics, probes and end
runner, ticks         carry out decisions: of batches, and of ticks once a second
decision_packer       packs a decision into record batches before anything is written
partition_scheduler   one batch or tick of a partition at a time
inputs, gap_detector  positions of the input; no batch is left out
stage_store           the rows and the memory that a stage may read
partitions            the state of all assigned partitions
store, seen           the local databases: rows, and ids of events
producer, packing     record batches and their sending
rejects, metrics      records that fail; the port for metrics
app, consumer         Faust's application and consumer, adapted
tables                Faust's tables, adapted
static_membership     the identity of a process in its consumer group

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
