"""Children: waited for, restarted with growing pauses, never left behind."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.runtime.supervisor import Child, ChildFailed, Supervisor

FOREVER = "import time; open('up','w').close(); time.sleep(60)"
pytestmark = pytest.mark.integration


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def supervisor(
    tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Supervisor]:
    monkeypatch.chdir(tmp_path)
    running = Supervisor(tmp_path, said.append, (sys.executable, "-c"))
    yield running
    running.stop_together()


def child(code: str, ready: Callable[[], bool] = lambda: True, timeout: float = 10) -> Child:
    return Child("one", (code,), os.environ, ready, timeout)


def test_it_waits_until_a_child_is_ready(supervisor: Supervisor):
    supervisor.start(child(FOREVER, Path("up").exists))
    supervisor.wait("one")
    assert Path("up").exists()
    supervisor.stop("one")
    assert not supervisor.running("one")


def test_a_child_that_dies_at_the_start_is_told_with_its_last_words(supervisor: Supervisor):
    supervisor.start(child("raise SystemExit('touchline: no such port')", lambda: False))
    with pytest.raises(ChildFailed, match=r"^one did not start: no such port$"):
        supervisor.wait("one")


def test_a_child_that_never_gets_ready_is_not_waited_for_for_ever(supervisor: Supervisor):
    supervisor.start(child(FOREVER, lambda: False, timeout=0.2))
    with pytest.raises(ChildFailed, match="is not ready after"):
        supervisor.wait("one")


def test_a_child_that_dies_later_is_started_again(
    supervisor: Supervisor, said: list[str], wait_for: Callable[..., None]
):
    code = "open('runs','a').write('x'); raise SystemExit('out of luck')"
    supervisor.start(child(code))

    def started_twice() -> bool:
        supervisor.check()
        return Path("runs").exists() and Path("runs").read_text() == "xx"

    wait_for(started_twice, timeout=20)
    assert said[0] == "one ended with status 1, starts again in 1 s (out of luck)"


def test_pauses_grow_while_a_child_keeps_dying(
    supervisor: Supervisor, said: list[str], wait_for: Callable[..., None]
):
    now = 0.0
    supervisor.clock = lambda: now
    supervisor.start(child("raise SystemExit(3)"))

    def told(times: int) -> bool:
        supervisor.check()
        return len(said) == times

    pauses = []
    for times in range(1, 8):
        wait_for(lambda times=times: told(times), timeout=20)
        pauses.append(int(said[-1].split(" in ")[1].split()[0]))
        now += pauses[-1]
    assert pauses == [1, 2, 4, 8, 16, 30, 30]
