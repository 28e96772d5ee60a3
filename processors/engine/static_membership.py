"""The identity of a process in its consumer group, which stays the same across restarts.

A process that dies keeps its partitions in the group until its session ends. Until then nobody
processes them, unless it returns under the same name (static membership). The name consists of the
data folder and the first slot in it that no living process holds.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import uuid
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def instance_id(folder: Path, group: str) -> Iterator[str]:
    """Hold a slot of this folder; the operating system frees it when the process ends."""
    folder.mkdir(parents=True, exist_ok=True)
    name = folder / "instance"
    with (folder / "instance.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not name.exists():
            name.write_text(uuid.uuid4().hex, encoding="ascii")
    for slot in itertools.count():
        with (folder / f"{group}-{slot}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield f"{name.read_text(encoding='ascii')}-{slot}"
            return
