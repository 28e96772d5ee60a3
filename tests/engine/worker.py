"""A stage in a process of its own, which tests may kill: `python -m tests.engine.worker JSON`.

Prints `ready` once it reads its input. With `die` = [step, n] it ends, as if killed, right after
the n-th time of that step.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from processors.engine import EngineConfig, Hooks, run_stage
from tests.engine.stages import CountingStage

KILLED = 9


def main(options: dict[str, Any]) -> None:
    step, after = options.get("die") or ("", 0)
    left = after

    def probe(name: str) -> None:
        nonlocal left
        if name == step:
            left -= 1
            if left == 0:
                os._exit(KILLED)

    config = EngineConfig(**{**options["config"], "data_dir": Path(options["config"]["data_dir"])})
    hooks = Hooks(probe=probe, on_ready=lambda: print("ready", flush=True))
    run_stage(CountingStage(**options.get("stage", {})), config, hooks)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
