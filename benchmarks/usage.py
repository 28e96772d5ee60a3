"""Running a process and measuring its CPU and memory, with all its descendants, over time."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
import time
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from deploy.runtime.processes import die_with_parent, stop

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_EVERY = 0.2


class Sample(NamedTuple):
    """The usage of a process tree at a moment (seconds since 1970): CPU seconds, resident MB."""

    at: float
    cpu: float
    mb: float


class Usage:
    """Samples of several process trees together, collected in a thread until `stop`."""

    def __init__(self, pids: Sequence[int]) -> None:
        self._pids = pids
        self._samples = [sample(*pids)]
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop sampling."""
        self._stopped.set()
        self._thread.join()

    def cpu(self, begin: float, end: float) -> float:
        """Return CPU seconds between two moments."""
        return self._cpu_at(end) - self._cpu_at(begin)

    def peak_mb(self) -> float:
        """Return the peak memory of all processes together."""
        return max(one.mb for one in self._samples)

    def _run(self) -> None:
        while not self._stopped.wait(_EVERY):
            self._samples.append(sample(*self._pids))

    def _cpu_at(self, moment: float) -> float:
        after = bisect_left(self._samples, moment, key=lambda one: one.at)
        if after == 0 or after == len(self._samples):
            return self._samples[min(after, len(self._samples) - 1)].cpu
        left, right = self._samples[after - 1], self._samples[after]
        share = (moment - left.at) / (right.at - left.at)
        return left.cpu + share * (right.cpu - left.cpu)


@contextlib.contextmanager
def running(
    command: Sequence[str], environment: dict[str, str] | None, log: Path, core: int | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process with its output in a file, optionally on one core; stop it at the end."""
    if core is not None:
        command = ["taskset", "--cpu-list", str(core), *command]
    with log.open("ab") as out:
        process = subprocess.Popen(
            command,
            env=environment,
            stdout=out,
            stderr=subprocess.STDOUT,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - only a system call, no Python state
        )
    try:
        yield process
    finally:
        stop(process, 30)


def sample(*pids: int) -> Sample:
    """Return the CPU time and the resident memory of processes and their descendants so far."""
    cpu, pages = 0.0, 0
    for one in [one for pid in pids for one in tree(pid)]:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            cpu += (int(fields[11]) + int(fields[12])) / _TICKS
            pages += int(fields[21])
    return Sample(time.time(), cpu, pages * _PAGE / 1e6)


def tree(pid: int) -> list[int]:
    """Return a process and its descendants."""
    children = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for file in Path(f"/proc/{pid}/task").glob("*/children"):
            children += [int(child) for child in file.read_text().split()]
    return [pid, *(one for child in children for one in tree(child))]
