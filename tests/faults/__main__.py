"""`python -m tests.faults --minutes N --seed S`: rounds of faults for so long, and a table."""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from tests.faults.faults import FAULTS, Fault
from tests.faults.harness import Bench, Round
from tests.faults.report import table

#: So many rounds have two faults at a time.
_PAIRS = 0.4


def chosen(names: Sequence[str], seed: int) -> Iterator[tuple[str, list[Fault]]]:
    """Rounds without end, each with its own seed: every fault in turn, some with another one."""
    rng, number = random.Random(seed), 0
    while True:
        for name in rng.sample(names, len(names)):
            faults = [FAULTS[name]]
            if len(names) > 1 and rng.random() < _PAIRS:
                faults.append(FAULTS[rng.choice([other for other in names if other != name])])
            number += 1
            yield f"{seed}-{number}", faults


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--faults", default="", help="names with commas, by default all")
    parser.add_argument("--together", action="store_true", help="all of --faults in each round")
    parser.add_argument("--folder", type=Path, help="for logs, kept; by default a temporary one")
    parser.add_argument("--out", type=Path, default=Path("faults.json"), help="and .md beside it")
    given = parser.parse_args(arguments)
    names = [name.strip() for name in given.faults.split(",") if name.strip()] or list(FAULTS)
    if unknown := set(names) - FAULTS.keys():
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(FAULTS)}")
    folder = given.folder or Path(tempfile.mkdtemp(prefix="touchline-faults-"))
    until = time.monotonic() + 60 * given.minutes
    rounds: list[Round] = []
    plan = chosen(names, given.seed)
    with Bench(folder / f"seed-{given.seed}") as bench:
        while time.monotonic() < until:
            seed, faults = next(plan)
            if given.together:
                faults = [FAULTS[name] for name in names]
            rounds.append(bench.round(seed, faults))
            _say(rounds[-1])
            _write(given.out, rounds, arguments)
        if problems := bench.retire():
            rounds.append(Round("end", ["stop"], problems={"stop": problems}))
            _say(rounds[-1])
    _write(given.out, rounds, arguments)
    print(table(rounds))
    return 1 if any(one.problems for one in rounds) else 0


def _say(done: Round) -> None:
    result = "ok" if not done.problems else "FAILED"
    print(
        f"{done.seed:>8} {result:>6} {done.events:6} events {done.retries:4} sent again "
        f"caught up in {done.catch_up_s:5.1f} s: {' + '.join(done.faults)}",
        flush=True,
    )
    for what, lines in done.problems.items():
        print(f"         {what}:", *lines, sep="\n           ", flush=True)


def _write(out: Path, rounds: Sequence[Round], arguments: Sequence[str]) -> None:
    out.write_text(json.dumps([asdict(one) for one in rounds], indent=1, ensure_ascii=False))
    command = f"`python -m tests.faults {' '.join(arguments)}`"
    out.with_suffix(".md").write_text(f"{command}\n\n{table(rounds)}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
