"""Rounds: load, faults at random moments, and when they are over the two properties.

**Liveness**: whatever was sent goes all the way by itself, within a bound. **Conservation**: what
the gateway promised is there once, and all that is derived is what the slow references say.
"""

from __future__ import annotations

import contextlib
import random
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.kafka import KafkaNode, LocalKafka
from tests.faults.check import Found, People, check
from tests.faults.faults import Fault
from tests.faults.target import Servers, Target, patience
from tests.support.clickhouse import LocalClickHouse
from tests.support.proxy import Proxy
from tests.support.system import ports

#: After the end of all faults everything has to be processed within so many seconds.
BOUND_S = 120.0
#: What ticks bring has so long to come.
_SETTLE_S = 30.0
#: Batches a second, of 13 events in the mean.
_RATE = 12.0
#: A target that had so many events gives way to a fresh one: the references are slow.
_ENOUGH = 20_000


@dataclass
class Round:
    """The result of one round."""

    seed: str
    faults: list[str]
    events: int = 0
    retries: int = 0
    lost: int = 0
    doubled: int = 0
    #: After the end of the faults, until the gateway had taken everything, and all was processed.
    taken_s: float = 0.0
    catch_up_s: float = 0.0
    #: The longest graceful stop.
    stopped_s: float = 0.0
    #: What is wrong -> some of it, in words; a round without is a good one.
    problems: dict[str, list[str]] = field(default_factory=dict)


class Bench:
    """A broker and a ClickHouse of its own, and a target on them that is replaced now and then."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.targets = 0
        self.target: Target | None = None
        self.people: People
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Bench:
        port = ports()
        self.proxy = self._stack.enter_context(Proxy("127.0.0.1", port))
        seen = {"advertised.listeners": f"PLAINTEXT://{self.proxy.address}"}
        node = KafkaNode(self.folder / "kafka", port=port, heap="384m", properties=seen)
        self.broker = self._stack.enter_context(LocalKafka(node))
        self.clickhouse = LocalClickHouse(self.folder / "clickhouse")
        self.clickhouse.port = ports()
        self.clickhouse.start()
        self._stack.callback(self.clickhouse.stop)
        self.clickhouse_proxy = self._stack.enter_context(Proxy("127.0.0.1", self.clickhouse.port))
        return self

    def __exit__(self, *_: object) -> None:
        if self.target is not None:
            self.target.__exit__()
        self._stack.close()

    def fresh(self, seed: str) -> Target:
        """The target, another one if it has seen much."""
        if self.target is not None and len(self.target.load.ledger.kept) < _ENOUGH:
            return self.target
        self.retire()
        self.targets += 1
        name = f"f{self.targets}"
        number = random.Random(seed).randrange(2**32)
        servers = Servers(self.broker, self.proxy, self.clickhouse, self.clickhouse_proxy)
        target = Target(self.folder / name, servers, number)
        self.target = target.__enter__()
        self.people = People(self.proxy.address, name)
        return target

    def retire(self) -> list[str]:
        """Stop the target in order; what went wrong with that."""
        target, self.target = self.target, None
        if target is None:
            return []
        try:
            return target.ended_in_order()
        finally:
            target.__exit__()

    def drop(self) -> None:
        """Something is wrong with the target: what follows shall not suffer from it."""
        if self.target is not None:
            self.target.__exit__()
            self.target = None

    def round(self, seed: str, faults: Sequence[Fault]) -> Round:
        """One round. Whatever goes wrong is in its `problems`."""
        done = Round(seed, [fault.name for fault in faults])
        rng = random.Random(seed)
        try:
            target = self.fresh(seed)
            before = len(target.load.ledger.kept)
            self._run(target, done, faults, rng)
            done.events = len(target.load.ledger.kept) - before
        except Exception as error:
            where = traceback.format_exception(error)[-4:]
            done.problems["the round ended by"] = [type(error).__name__, *where]
        if self.target is not None:
            done.stopped_s, self.target.stopped_s = self.target.stopped_s, 0.0
        if self.target is not None and self.target.problems:
            done.problems["processes"] = self.target.problems[:]
            self.target.problems.clear()
        if done.problems:
            self.drop()
        return done

    def _run(
        self, target: Target, done: Round, faults: Sequence[Fault], rng: random.Random
    ) -> None:
        load = target.load
        retries = load.ledger.retries
        load.start(_RATE)
        target.wait(rng.uniform(0.5, 2.5))
        with contextlib.ExitStack() as stack:
            for fault in faults:
                stack.enter_context(fault.inject(target, rng))
                target.wait(rng.uniform(0, 1.0))
            target.wait(max(rng.uniform(*fault.lasts) for fault in faults))
        ended = time.monotonic()
        target.wait(1.0)
        left = ended + patience(BOUND_S)
        if not _watched(target, lambda: load.stop(0.1), left):
            done.problems["liveness"] = [f"the gateway did not take all within {BOUND_S} s"]
            return
        done.taken_s = time.monotonic() - ended
        if not target.drained(left - time.monotonic()):
            done.problems["liveness"] = [f"not everything was processed within {BOUND_S} s"]
            return
        done.catch_up_s = time.monotonic() - ended
        done.retries = load.ledger.retries - retries
        found = self.settled(target)
        done.lost, done.doubled = found.lost, found.doubled
        done.problems |= found.differences

    def settled(self, target: Target) -> Found:
        """The check, once what ticks bring every second had time to come."""
        deadline = time.monotonic() + patience(_SETTLE_S)
        while True:
            found = check(target.system, target.load.ledger, self.people, target.slack_s)
            if not found.differences or time.monotonic() > deadline:
                return found
            target.wait(1.0)


def _watched(target: Target, condition: Callable[[], bool], deadline: float) -> bool:
    return target.until(condition, max(0.0, deadline - time.monotonic()))


@contextlib.contextmanager
def bench(folder: Path) -> Iterator[Bench]:
    """A bench that cleans up after itself."""
    with Bench(folder) as made:
        yield made
