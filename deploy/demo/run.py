"""The demo from start to end: stack, traffic, waiting, report, stop."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from deploy.config.segments import load_segments
from deploy.config.settings import SHIPPED_SEGMENTS
from deploy.demo import queries
from deploy.demo.delivery import Delivery
from deploy.demo.generate import SEED, Size, Traffic, traffic
from deploy.demo.probe import TOUCHES, Prober
from deploy.demo.proof import Check, prove
from deploy.demo.report import Report
from deploy.demo.send import GatewayGone, Ledger, Sender
from deploy.demo.settle import Progress, Settling
from deploy.demo.stack import DemoStack, StackFailed
from deploy.demo.wire import Keys
from deploy.local.stack_file import Addresses
from deploy.runtime.signals import Interrupts
from schemas.times import now_ms
from sinks.clickhouse.client import ClickHouse, ClickHouseConfig, ClickHouseError

#: Columns of the report if there is no terminal.
LOG_WIDTH = 120
_INTRODUCTION = """\
Touchline's demo: a music shop, its customers and all they do. The purchases are real (CDNOW, moved
to end yesterday); visits, mails, calls and messages around them are generated and say so. All of it
goes through the HTTP gateway, signed as the providers sign it; then ClickHouse is asked.
"""


#: Shows the progress of what has a title and a total; the context takes the amount done so far.
ProgressBar = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]


def run(
    bar: ProgressBar,
    *,
    keep: bool = False,
    data: Path | None = None,
    seed: int = SEED,
    size: Size | None = None,
) -> int:
    """Run the demo; return 0 if every proof holds.

    `data`: the folder to work in, a new temporary one by default; it stays, with all data and logs.
    `keep` leaves the stack running and prints how to use and to stop it. In every other case no
    process is left behind.
    """
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=LOG_WIDTH)
    folder = (data or Path(tempfile.mkdtemp(prefix="touchline-demo-"))).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        console.print(f"the demo failed: {folder} is not empty", markup=False, soft_wrap=True)
        return 1
    keys = Keys()
    interrupts = Interrupts()
    interrupts.install()
    try:
        with DemoStack(folder, keys, interrupts, keep=keep) as stack:
            return _Demo(console, bar, stack, keys, keep).play(seed, size)
    except KeyboardInterrupt:
        console.print("\nstopped; nothing is left running")
        return 130
    except (StackFailed, GatewayGone, ClickHouseError) as problem:
        console.print(f"the demo failed: {problem}", markup=False, soft_wrap=True)
        return 1
    finally:
        interrupts.restore()
        console.print(
            f"\ndata: {folder / 'data'}\nlogs: {folder / 'data' / 'logs'}",
            markup=False,
            soft_wrap=True,
        )


@dataclass(frozen=True, slots=True)
class _Demo:
    console: Console
    bar: ProgressBar
    stack: DemoStack
    keys: Keys
    keep: bool
    started: float = field(default_factory=time.monotonic)

    def play(self, seed: int, size: Size | None) -> int:
        began_ms = now_ms()
        self._say(_INTRODUCTION)
        self._say("starting Kafka, ClickHouse, worker, sink and gateway ...")
        addresses = self.stack.start()
        self._say(f"ready after {time.monotonic() - self.started:.0f} s")
        plot = traffic(began_ms, seed, size)
        ledger = Ledger()
        sender = Sender(addresses.gateway, self.keys, ledger, alive=self.stack.alive)
        self._send(sender, "real purchases of the CDNOW data set", plot.history)
        self._send(sender, "generated visits, mails, calls, messages", plot.generated)
        db = ClickHouse(ClickHouseConfig(url=addresses.clickhouse))
        try:
            failed = self._examine(db, sender, plot)
        finally:
            db.close()
        if self.keep:
            self._invite(addresses)
        return failed

    def _send(self, sender: Sender, title: str, deliveries: Sequence[Delivery]) -> None:
        events = sum(max(1, len(delivery.kept)) for delivery in deliveries)
        done = 0
        with self.bar(title, events) as show:

            def advance(delivery: Delivery) -> None:
                nonlocal done
                done += max(1, len(delivery.kept))
                show(done)

            asyncio.run(sender.send_all(deliveries, advance))

    def _settle(self, db: ClickHouse, ledger: Ledger) -> None:
        wanted = len(ledger.accepted)
        with self.bar("until ClickHouse shows them all", wanted) as show:

            def tell(progress: Progress) -> None:
                show(min(progress.in_profiles, progress.in_engagement))

            settled = Settling(db, ledger, tell).wait()
        if not settled.complete:
            self._say(f"not complete after {settled.seconds:.0f} s: {settled.last}")

    def _examine(self, db: ClickHouse, sender: Sender, plot: Traffic) -> int:
        self._settle(db, sender.ledger)
        customers = list(dict.fromkeys(row.customer_id for row in plot.rows))[:TOUCHES]
        self._say(f"sending {TOUCHES} single touches, each when the one before is visible ...")
        probe = asyncio.run(Prober(sender, db).probe(customers))
        self._settle(db, sender.ledger)
        checks = [
            *prove(db, sender.ledger, plot),
            Check("each single touch became visible", not probe.lost, f"{probe.lost} did not"),
        ]
        report = Report(self.console, db)
        report.touches()
        report.people(plot)
        report.segments(load_segments(SHIPPED_SEGMENTS))
        report.engagement()
        report.abc()
        report.timelines()
        report.latency(probe)
        report.refused(sender.ledger)
        report.proof(checks)
        failed = [check for check in checks if not check.holds]
        seconds = time.monotonic() - self.started
        if failed:
            self._say(f"\n{len(failed)} of {len(checks)} proofs FAILED, after {seconds:.0f} s")
            return 1
        self._say(f"\nall {len(checks)} proofs hold; the demo took {seconds:.0f} s")
        return 0

    def _invite(self, addresses: Addresses) -> None:
        self._say(
            f"\nstill running: gateway {addresses.gateway}, ClickHouse {addresses.clickhouse}\n"
            f"end it with: kill {self.stack.pid}\ntry:"
        )
        self._say(
            f"  curl -s {addresses.gateway}/v1/track -u {self.keys.shop_web}:"
            """ -d '{"userId": "00001", "event": "Demo Tried"}'"""
        )
        for query in queries.EXAMPLES:
            self._say(f'  curl -s {addresses.clickhouse} --data-binary "{query}"')

    def _say(self, text: str) -> None:
        self.console.print(text, markup=False, soft_wrap=True)
