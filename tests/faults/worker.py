"""A worker with a place where a test may end a stage, or plant a bug: `-m tests.faults.worker`.

It is the production worker but for three things. A stage ends, as if killed, after the step whose
name a file in the folder of the plan asks for, once (`Plan.ask`). And a stage with a bug raises at
records that hold its `poison` (`Plan.plant`). And its clock may be wrong (`Plan.set_clock`).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from deploy.config.settings import load
from deploy.kafka import control
from deploy.runtime import logs
from deploy.runtime.worker import run_one, run_worker
from processors.stage import Decision, Record, Stage, Store
from tests.support.engine_worker import KILLED

#: Where the plan is, told by the environment.
VARIABLE = "TESTS_FAULTS_PLAN"
STEPS = ("decide", "log", "apply", "publish", "commit")


class Plan:
    """The plan for the stages of all workers that share a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)

    def ask(self, stage: str, step: str) -> Path:
        """End whichever process of a stage comes first to this step; gone once it has."""
        wish = self.folder / f"{stage}-{step}"
        wish.touch()
        return wish

    def plant(self, stage: str) -> Path:
        """Give this stage a bug from now on, until the file is removed."""
        bug = self._bug(stage)
        bug.touch()
        return bug

    def set_clock(self, worker: str, ahead_ms: int) -> None:
        """Put a worker's clock ahead from its next start on; its folder names it."""
        (self.folder / f"clock-{worker}").write_text(str(ahead_ms))

    def ahead_ms(self, worker: str) -> int:
        """Return how far the clock of a worker is ahead."""
        clock = self.folder / f"clock-{worker}"
        return int(clock.read_text()) if clock.exists() else 0

    def probe(self, stage: str, step: str) -> None:
        """Called by the engine after each step."""
        try:
            (self.folder / f"{stage}-{step}").unlink()
        except FileNotFoundError:
            return
        os._exit(KILLED)

    def fails(self, stage: str, records: Sequence[Record]) -> bool:
        """Return whether the stage raises at one of these."""
        marker = poison(stage).encode()
        return any(marker in record.value for record in records) and self._bug(stage).exists()

    def _bug(self, stage: str) -> Path:
        return self.folder / f"{stage}-bug"


def poison(stage: str) -> str:
    """The beginning of an id or identifier that a stage with a bug fails at."""
    return f"poison-{stage}-"


class Buggy:
    """A stage with a bug."""

    def __init__(self, stage: Stage, plan: Plan) -> None:
        self._stage = stage
        self._plan = plan

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stage, name)

    def decide(self, records: Sequence[Record], store: Store) -> Decision:
        if self._plan.fails(self._stage.name, records):
            raise RuntimeError("a bug, planted by a test")
        return self._stage.decide(records, store)


def main(arguments: Sequence[str]) -> None:
    if arguments[0] == "--config":
        run_worker(Path(arguments[1]), program=(sys.executable, "-m", "tests.faults.worker"))
        return
    stage = arguments[-1]
    plan = Plan(Path(os.environ[VARIABLE]))
    settings = load().settings
    ahead_ms = plan.ahead_ms(settings.state.name)
    logs.configure(settings.logs, stage)
    run_one(
        stage,
        settings,
        control.PRESENT,
        hook=lambda hooks: replace(
            hooks,
            probe=lambda step: plan.probe(stage, step),
            clock_ms=lambda: hooks.clock_ms() + ahead_ms,
        ),
        wrap=lambda made: Buggy(made, plan),  # type: ignore[arg-type,return-value]
    )


if __name__ == "__main__":
    main(sys.argv[1:])
