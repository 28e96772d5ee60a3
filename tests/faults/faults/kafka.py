"""The broker restarts, dies, hangs, or is not to be reached."""

from __future__ import annotations

import random
from collections.abc import Iterator

from tests.faults.faults.fault import fault
from tests.faults.target import Target, pause


@fault("restart broker", (0.5, 5.0))
def restart_broker(target: Target, rng: random.Random) -> Iterator[None]:
    """the broker is stopped in order and started again"""
    with target.tampering():
        target.broker.stop()
        yield
        target.broker.start()


@fault("kill broker", (0.5, 20.0))
def kill_broker(target: Target, rng: random.Random) -> Iterator[None]:
    """kill -9 of the broker, started again"""
    with target.tampering():
        target.broker.kill()
        yield
        target.broker.start()


@fault("pause broker", (3.0, 25.0))
def pause_broker(target: Target, rng: random.Random) -> Iterator[None]:
    """SIGSTOP of the broker: connections stand, nothing is answered"""
    with target.tampering():
        pid = target.broker.pid
        pause([pid], on=True)
        yield
        pause([pid], on=False)


FAULTS = (restart_broker, kill_broker, pause_broker)
