"""ClickHouse restarts, dies, is not to be reached, or its answers are lost."""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator

from tests.faults.faults.fault import fault
from tests.faults.target import Target
from tests.support.proxy import Blackhole, CutAnswer, Mode, Pass, Refuse


@fault("restart ClickHouse", (1.0, 30.0))
def restart(target: Target, rng: random.Random) -> Iterator[None]:
    """ClickHouse is stopped in order and started again"""
    yield from _down(target, signal.SIGTERM)


@fault("kill ClickHouse", (1.0, 30.0))
def kill(target: Target, rng: random.Random) -> Iterator[None]:
    """kill -9 of ClickHouse, started again"""
    yield from _down(target, signal.SIGKILL)


@fault("ClickHouse refused", (2.0, 60.0))
def refused(target: Target, rng: random.Random) -> Iterator[None]:
    """every connection to ClickHouse is reset, and new ones are refused"""
    yield from _network(target, Refuse())


@fault("ClickHouse unreachable", (5.0, 60.0))
def unreachable(target: Target, rng: random.Random) -> Iterator[None]:
    """packets to and from ClickHouse go nowhere, connections stand"""
    yield from _network(target, Blackhole())


@fault("answers to inserts cut off", (2.0, 10.0))
def answers_cut_off(target: Target, rng: random.Random) -> Iterator[None]:
    """ClickHouse inserts, and the connection is cut before it can say so"""
    yield from _network(target, CutAnswer(asked=b"INSERT"))


def _down(target: Target, how: signal.Signals) -> Iterator[None]:
    with target.alone_at("clickhouse") as alone:
        if alone:
            target.clickhouse.stop(how)
        yield
        if alone:
            target.clickhouse.start()


def _network(target: Target, mode: Mode) -> Iterator[None]:
    with target.tampering():
        target.clickhouse_proxy.behave(mode)
        yield
        target.clickhouse_proxy.behave(Pass())


FAULTS = (restart, kill, refused, unreachable, answers_cut_off)
