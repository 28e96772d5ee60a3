"""A stage as a process, which tests may kill: `python -m tests.support.engine_worker JSON`.

Prints `ready` once it reads its input. With `die` = [step, n] it ends, as if killed, right after
the n-th time of that step. With `hold` = [step, n, file] it writes the file there and waits, with
all else in its thread, until the file is gone.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from processors.engine import EngineConfig, Hooks, run_stage
from tests.support.engine_stages import CountingStage

KILLED = 9


def wait_at(file: Path) -> None:
    """Say that this point is reached, and wait, the whole thread, until the file is gone."""
    file.touch()
    while file.exists():
        time.sleep(0.01)


def main(options: dict[str, Any]) -> None:
    dies, held = options.get("die"), options.get("hold")
    done: Counter[str] = Counter()

    def probe(step: str) -> None:
        done[step] += 1
        if dies and (step, done[step]) == tuple(dies):
            os._exit(KILLED)
        if held and (step, done[step]) == tuple(held[:2]):
            wait_at(Path(held[2]))

    config = EngineConfig(**{**options["config"], "data_dir": Path(options["config"]["data_dir"])})
    hooks = Hooks(probe=probe, on_ready=lambda: print("ready", flush=True))
    run_stage(CountingStage(**options.get("stage", {})), config, hooks)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
