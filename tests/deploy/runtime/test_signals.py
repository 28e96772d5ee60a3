"""Signals raise, but not while a process is started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from deploy.runtime.signals import Interrupts


@pytest.fixture
def interrupts() -> Iterator[Interrupts]:
    interrupts = Interrupts()
    interrupts.install()
    yield interrupts
    interrupts.restore()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_either_signal_raises(interrupts: Interrupts, number: signal.Signals) -> None:
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), number)


def test_a_deferred_signal_raises_at_the_end(interrupts: Interrupts) -> None:
    reached = []

    def start_a_process() -> None:
        with interrupts.deferred():
            os.kill(os.getpid(), signal.SIGTERM)
            reached.append(True)

    with pytest.raises(KeyboardInterrupt):
        start_a_process()
    assert reached


def test_during_the_stop_a_signal_calls_and_does_not_raise(interrupts: Interrupts) -> None:
    called: list[bool] = []
    interrupts.redirect(lambda: called.append(True))
    os.kill(os.getpid(), signal.SIGINT)
    assert called == [True]


def test_afterwards_the_signals_do_what_they_did_before() -> None:
    before = signal.getsignal(signal.SIGTERM)
    interrupts = Interrupts()
    interrupts.install()
    interrupts.restore()
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_while_the_main_thread_holds_the_lock_of_the_event(
    number: signal.Signals,
) -> None:
    code = f"""
import os
from deploy.runtime.signals import stop_event
stop = stop_event()
with stop._cond:  # as within stop.wait()
    os.kill(os.getpid(), {int(number)})
assert stop.wait(20)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=40)
