"""The broker restarts, dies, hangs, or is not to be reached."""

from __future__ import annotations

import random
from collections.abc import Iterator

from tests.faults.faults.fault import fault
from tests.faults.target import Target, pause
from tests.support.proxy import Blackhole, CutAfter, CutAnswer, Delay, Mode, Pass, Refuse


@fault("restart broker")
def restart_broker(target: Target, rng: random.Random) -> Iterator[None]:
    """the broker is stopped in order and started again"""
    with target.alone_at("broker") as alone:
        if alone:
            target.broker.stop()
        yield
        if alone:
            target.broker.start()


@fault("kill broker", (0.5, 20.0))
def kill_broker(target: Target, rng: random.Random) -> Iterator[None]:
    """kill -9 of the broker, started again"""
    with target.alone_at("broker") as alone:
        if alone:
            target.broker.kill()
        yield
        if alone:
            target.broker.start()


@fault("pause broker", (3.0, 25.0))
def pause_broker(target: Target, rng: random.Random) -> Iterator[None]:
    """SIGSTOP of the broker: connections stand, nothing is answered"""
    with target.alone_at("broker") as alone:
        pids = [target.broker.pid] if alone else []
        pause(pids, on=True)
        yield
        pause(pids, on=False)


@fault("broker refused", (1.0, 20.0))
def refused(target: Target, rng: random.Random) -> Iterator[None]:
    """every connection to the broker is reset, and new ones are refused"""
    yield from _network(target, Refuse())


@fault("broker unreachable", (5.0, 40.0))
def unreachable(target: Target, rng: random.Random) -> Iterator[None]:
    """packets to and from the broker go nowhere, connections stand"""
    yield from _network(target, Blackhole())


@fault("broker unreachable for 2 minutes", (120.0, 125.0))
def unreachable_for_long(target: Target, rng: random.Random) -> Iterator[None]:
    """the same for two minutes"""
    yield from _network(target, Blackhole())


@fault("slow acknowledgements", (5.0, 20.0))
def slow(target: Target, rng: random.Random) -> Iterator[None]:
    """each answer of the broker takes 0.2 to 2 s longer"""
    yield from _network(target, Delay(rng.uniform(0.2, 2.0)))


@fault("connections cut in the middle", (1.0, 4.0))
def cut_in_the_middle(target: Target, rng: random.Random) -> Iterator[None]:
    """connections to the broker are cut within requests, after other numbers of bytes each time"""
    with target.tampering():
        for _ in range(4):
            target.proxy.behave(CutAfter(rng.choice((50, 500, 5_000, 50_000))))
            target.wait(rng.uniform(0.5, 2.0))
        yield
        target.proxy.behave(Pass())


@fault("acknowledgements cut off", (1.0, 6.0))
def answers_cut_off(target: Target, rng: random.Random) -> Iterator[None]:
    """the broker does what it is asked, and the connection is cut before it can say so"""
    yield from _network(target, CutAnswer())


def _network(target: Target, mode: Mode) -> Iterator[None]:
    with target.tampering():
        target.proxy.behave(mode)
        yield
        target.proxy.behave(Pass())


FAULTS = (
    restart_broker, kill_broker, pause_broker, refused, unreachable, unreachable_for_long, slow,
    cut_in_the_middle, answers_cut_off,
)  # fmt: skip
