"""The worker: one process per stage, so that no stage waits for another's rebalance or core."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import structlog

from deploy.config.settings import Settings, child_environment
from deploy.kafka.clients import security
from deploy.kafka.control import Generation
from deploy.kafka.topology import STAGE_NAMES, partitions_of
from deploy.runtime.factories.stages import make_stage, segments_of
from deploy.runtime.membership import (
    exit_when_generation_ends,
    state_folder,
    wait_for_generation,
    warn_if_policy_differs,
)
from deploy.runtime.metrics.counters import EngineCounters, state_disk
from deploy.runtime.observed import observed
from deploy.runtime.private_files import private_folder
from deploy.runtime.signals import stop_event
from deploy.runtime.supervisor import PROGRAM, Child, Supervisor
from processors.engine import EngineConfig, Hooks, run_stage
from processors.stage import Stage

_log = structlog.get_logger(__name__)


def run_one(
    name: str,
    settings: Settings,
    which: str,
    *,
    hook: Callable[[Hooks], Hooks] = lambda hooks: hooks,
    wrap: Callable[[Stage], Stage] = lambda stage: stage,
) -> None:
    """Run one stage in this process until SIGTERM or SIGINT, on an epoch (`deploy.kafka.control`).

    Raises `processors.segments.SegmentError` if a definition is wrong. Tests use `hook` and `wrap`
    to end it after a step, change its clock, or plant a bug in it.
    """
    segments = segments_of(settings)
    port = settings.metrics.port and settings.metrics.port + STAGE_NAMES.index(name)
    with observed(settings, port) as health:
        present = wait_for_generation(settings, which)
        warn_if_policy_differs(settings, present)
        exit_when_generation_ends(settings, present)
        config = engine_config(settings, present, name)
        private_folder(settings.state)
        state_disk(settings.state)
        hooks = Hooks(metrics=EngineCounters(), on_ready=health.started)
        run_stage(wrap(make_stage(name, settings, present, segments)), config, hook(hooks))


def run_worker(
    config: Path | None, options: tuple[str, ...] = (), program: tuple[str, ...] = PROGRAM
) -> None:
    """Run a process for each stage until SIGTERM or SIGINT, then stop them all at once.

    A process that ends by itself, for instance because it left its group or another epoch is
    present, is restarted, after growing pauses. `options` are passed to each. `program` is the
    command that runs `worker --stage NAME`.
    """
    stop = stop_event()
    supervisor = Supervisor(
        None, lambda message: _log.warning("stage_ended", detail=message), program
    )
    environment = child_environment(config, {})
    try:
        for stage in STAGE_NAMES:
            supervisor.start(Child(stage, ("worker", "--stage", stage, *options), environment))
        while not stop.wait(0.2):
            supervisor.check()
    finally:
        supervisor.stop_together()


def engine_config(settings: Settings, present: Generation, stage: str) -> EngineConfig:
    """Return a stage's configuration for the topics of an epoch, with the folder of its state."""
    session = settings.kafka.session_timeout_s or 60.0
    return EngineConfig(
        settings.kafka.bootstrap_servers,
        state_folder(settings.state, settings.namespace, present.namespace, stage),
        partitions_of(settings, present),
        present.namespace,
        security(settings.kafka),
        session_timeout=session,
        # Long before another process may own the partitions.
        send_timeout=min(20.0, session / 2),
        epoch=present.epoch,
    )
