"""Processes die, stop, pause, come and go."""

from __future__ import annotations

import contextlib
import os
import random
import signal
from collections.abc import Iterator

from deploy.kafka.topology import STAGE_NAMES
from tests.faults.faults.fault import fault
from tests.faults.target import NAMES, SESSION_S, Target, pause
from tests.faults.worker import STEPS

#: A process that stood still for so long has lost its partitions.
_TOO_LONG = (SESSION_S + 1, SESSION_S + 6)


def _killed(target: Target, rng: random.Random, kind: str) -> Iterator[None]:
    with target.one_of(rng, kind) as name:
        for _ in range(rng.choice((0, 1, 3)) if name else 0):
            target.kill(name or "")
            target.start(name or "")
            target.wait(rng.uniform(0.5, 8.0))
        if name:
            target.kill(name)
        yield
        if name:
            target.start(name)


def _stopped(target: Target, rng: random.Random, kind: str) -> Iterator[None]:
    with target.one_of(rng, kind) as name:
        if name:
            target.stop(name)
        yield
        if name:
            target.start(name)


def _paused(target: Target, rng: random.Random, kind: str) -> Iterator[None]:
    with target.one_of(rng, kind) as name:
        pids = target.pids(name) if name else []
        pause(pids, on=True)
        yield
        pause(pids, on=False)


@fault("kill gateway")
def kill_gateway(target: Target, rng: random.Random) -> Iterator[None]:
    """kill -9 of a gateway, up to four times, started again"""
    yield from _killed(target, rng, "gateway")


@fault("kill worker")
def kill_worker(target: Target, rng: random.Random) -> Iterator[None]:
    """kill -9 of a worker with all its stages, up to four times, started again"""
    yield from _killed(target, rng, "worker")


@fault("kill stage", (1.0, 3.0))
def kill_stage(target: Target, rng: random.Random) -> Iterator[None]:
    """kill -9 of a stage's process, twice; its worker starts it again"""
    stage = rng.choice(STAGE_NAMES)
    with target.one_of(rng, "worker") as name:
        for _ in range(2):
            pid = target.stages(name).get(stage) if name else None
            if pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            target.wait(rng.uniform(1.0, 3.0))
        yield


@fault("kill sink")
def kill_sink(target: Target, rng: random.Random) -> Iterator[None]:
    """kill -9 of a sink, up to four times, started again"""
    yield from _killed(target, rng, "sink")


@fault("kill all", (2.0, 20.0))
def kill_all(target: Target, rng: random.Random) -> Iterator[None]:
    """kill -9 of every process of ours; customers' deadlines come due while all is down"""
    names = [name for name in NAMES if target.runs(name)]
    rng.shuffle(names)
    for name in names:
        target.kill(name)
    yield
    for name in names:
        target.start(name)


@fault("crash at a step", (1.0, 2.0))
def crash_at_a_step(target: Target, rng: random.Random) -> Iterator[None]:
    """a stage ends, as if killed, right after three of decide, log, apply, publish and commit"""
    stage = rng.choice(STAGE_NAMES)
    for step in rng.sample(STEPS, 3):
        wish = target.plan.ask(stage, step)
        # Links may all be decided: then nobody comes to this step, until the next one.
        target.until(lambda wish=wish: not wish.exists(), 8)
        wish.unlink(missing_ok=True)
    yield


@fault("stop gateway")
def stop_gateway(target: Target, rng: random.Random) -> Iterator[None]:
    """SIGTERM to a gateway, which ends with status 0 within 10 s; started again"""
    yield from _stopped(target, rng, "gateway")


@fault("stop worker")
def stop_worker(target: Target, rng: random.Random) -> Iterator[None]:
    """SIGTERM to a worker, which ends with status 0 within 10 s; started again"""
    yield from _stopped(target, rng, "worker")


@fault("stop sink")
def stop_sink(target: Target, rng: random.Random) -> Iterator[None]:
    """SIGTERM to a sink, which ends with status 0 within 10 s; started again"""
    yield from _stopped(target, rng, "sink")


@fault("join and leave", (2.0, 8.0))
def join_and_leave(target: Target, rng: random.Random) -> Iterator[None]:
    """a third worker and a third sink join under load, and leave again"""
    names = ("worker-3", "sink-3")
    for name in names:
        target.start(name)
    if not target.impaired:
        target.ready(*names)
    yield
    for name in names:
        target.stop(name)


@fault("rolling restart", (0.5, 1.0))
def rolling_restart(target: Target, rng: random.Random) -> Iterator[None]:
    """every process is stopped and started, one after the other"""
    for name in NAMES:
        if target.runs(name):
            target.stop(name)
            target.start(name)
            if not target.impaired:
                target.ready(name)
    yield


@fault("pause gateway", _TOO_LONG)
def pause_gateway(target: Target, rng: random.Random) -> Iterator[None]:
    """SIGSTOP of a gateway, in the middle of requests"""
    yield from _paused(target, rng, "gateway")


@fault("pause worker", _TOO_LONG)
def pause_worker(target: Target, rng: random.Random) -> Iterator[None]:
    """SIGSTOP of a worker beyond its session: a zombie that wakes up while another one works"""
    yield from _paused(target, rng, "worker")


@fault("pause sink", _TOO_LONG)
def pause_sink(target: Target, rng: random.Random) -> Iterator[None]:
    """SIGSTOP of a sink beyond its session"""
    yield from _paused(target, rng, "sink")


@fault("wrong clock", (3.0, 15.0))
def wrong_clock(target: Target, rng: random.Random) -> Iterator[None]:
    """a worker's host has a clock that is 3 minutes ahead or behind, until it is set"""
    ahead_s = rng.choice((-180.0, 180.0))
    with target.one_of(rng, "worker") as name:
        if name:
            _set_clock(target, name, ahead_s)
        yield
        if name:
            _set_clock(target, name, 0.0)
            target.unsure(abs(ahead_s))


def _set_clock(target: Target, name: str, ahead_s: float) -> None:
    target.stop(name)
    target.set_clock(name, ahead_s)
    target.start(name)


@fault("poison", (0.5, 1.0))
def poison(target: Target, rng: random.Random) -> Iterator[None]:
    """events at which a stage raises: each is set aside with its bytes, the others go on"""
    for _ in range(5):
        target.load.soon(target.load.generator.poison())
        target.wait(rng.uniform(0, 1.0))
    yield


FAULTS = (
    kill_gateway, kill_worker, kill_stage, kill_sink, kill_all, crash_at_a_step, stop_gateway,
    stop_worker, stop_sink, join_and_leave, rolling_restart, pause_gateway, pause_worker,
    pause_sink, wrong_clock, poison,
)  # fmt: skip
