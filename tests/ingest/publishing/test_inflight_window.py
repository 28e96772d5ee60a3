"""The bound of what waits for Kafka: its rules, and what it does to senders that come again."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import pytest

from ingest.publishing.inflight_window import Entry, Window

MIB = 1024 * 1024
#: As the publisher has them.
PATIENCE_S, TARGET_S, RETRY_S = 10.0, 2.5, 2.0


def test_the_bound_holds_until_something_leaves() -> None:
    window = Window(10, 100, TARGET_S)
    entry = window.enter(60, 0)
    assert window.fits(40)
    assert not window.fits(41)
    window.leave(entry, 1, acknowledged=True)
    assert window.waiting == 0
    assert window.fits(41)


def test_the_largest_request_fits_when_nothing_waits() -> None:
    window = Window(10, 100, TARGET_S)
    assert window.fits(1_000)
    window.enter(1, 0)
    assert not window.fits(1_000)


def test_a_late_acknowledgement_lets_in_what_kafka_would_have_done_in_time() -> None:
    window = Window(10, 1_000, TARGET_S)
    entries = [window.enter(100, 0) for _ in range(10)]
    # 200 bytes a second: from the sixth on they are late, and each of these says the same.
    for n, entry in enumerate(entries, 1):
        window.leave(entry, n / 2, acknowledged=True)
    assert window.bound == 200 * TARGET_S


def test_what_is_given_up_counts_like_a_late_acknowledgement() -> None:
    window = Window(10, 1_000, TARGET_S)
    window.leave(window.enter(1_000, 0), PATIENCE_S, acknowledged=False)
    assert window.bound == 250


def test_what_fails_at_once_says_nothing_about_the_rate() -> None:
    window = Window(10, 1_000, TARGET_S)
    window.leave(window.enter(1_000, 0), PATIENCE_S, acknowledged=False)
    window.leave(window.enter(100, 20), 20, acknowledged=False)
    assert window.bound == 250


def test_the_bound_stays_between_floor_and_ceiling() -> None:
    window = Window(10, 100, TARGET_S)
    window.leave(window.enter(1, 0), 1_000, acknowledged=False)
    assert window.bound == 10
    for second in range(50):
        window.leave(window.enter(9, second), second, acknowledged=True)
    assert window.bound == 100


@dataclass
class Sender:
    """Sends one request after the other, each until it is acknowledged in time."""

    due: float = 0.0
    waits_since: float | None = None


class Simulation:
    """Senders, a window and a Kafka that works off what was let in, in order.

    Nothing is withdrawn here: what counts is what the window alone does.
    """

    def __init__(self, window: Window, senders: int, size: int) -> None:
        self.window = window
        self.size = size
        self.senders = [Sender() for _ in range(senders)]
        self.queue: deque[tuple[Entry, Sender]] = deque()
        self.now = self.done = 0.0
        self.useful = self.useless = self.refused = self.most = 0

    def run(self, seconds: float, rate: float) -> Simulation:
        """So long with a Kafka of `rate` bytes a second; counts anew."""
        self.useful = self.useless = self.refused = self.most = 0
        until = self.now + seconds
        while self.now < until:
            self._send()
            self.done = min(self.done + rate * 0.01, len(self.queue) * self.size)
            while self.done >= self.size:
                self.done -= self.size
                self._acknowledge()
            self.most = max(self.most, self.window.waiting)
            self.now += 0.01
        return self

    def _send(self) -> None:
        for sender in self.senders:
            if sender.waits_since is not None and self.now - sender.waits_since > PATIENCE_S:
                sender.waits_since, sender.due = None, self.now + RETRY_S
            if sender.waits_since is not None or sender.due > self.now:
                continue
            if self.window.fits(self.size):
                self.queue.append((self.window.enter(self.size, self.now), sender))
                sender.waits_since = self.now
            else:
                self.refused += 1
                sender.due = self.now + RETRY_S

    def _acknowledge(self) -> None:
        entry, sender = self.queue.popleft()
        self.window.leave(entry, self.now, acknowledged=True)
        if sender.waits_since == entry.at:
            self.useful += 1
            sender.waits_since, sender.due = None, self.now
        else:
            self.useless += 1

    @property
    def share(self) -> float:
        """Return the share of Kafka's work for which a sender still waited."""
        return self.useful / (self.useful + self.useless)


def overloaded(floor: int) -> Simulation:
    """Senders hold three times what Kafka can do while they wait."""
    return Simulation(Window(floor, 64 * MIB, TARGET_S), senders=300, size=MIB // 10)


def test_with_a_fixed_bound_kafka_works_for_repetitions() -> None:
    simulation = overloaded(floor=64 * MIB).run(300, MIB)
    assert simulation.share < 0.3


def test_with_the_window_kafka_works_for_those_who_wait() -> None:
    simulation = overloaded(floor=MIB).run(300, MIB)
    assert simulation.share > 0.8
    assert simulation.refused
    # As much as Kafka can do: the window is not bought with idle time.
    assert simulation.useful * simulation.size > 0.8 * 300 * MIB
    # After the beginning nothing is useless, and less waits than Kafka does within the patience.
    simulation.run(300, MIB)
    assert simulation.useless == 0
    assert simulation.most < PATIENCE_S * MIB


@pytest.mark.parametrize("slow", [MIB, 4 * MIB])
def test_the_window_opens_again_when_kafka_is_fast_again(slow: int) -> None:
    simulation = overloaded(floor=MIB)
    simulation.run(60, slow)
    simulation.run(20, 100 * MIB)
    simulation.run(60, 100 * MIB)
    assert simulation.useless == simulation.refused == 0
    assert simulation.useful * simulation.size > 0.8 * 60 * 100 * MIB


def test_a_kafka_that_becomes_slow_at_full_load_keeps_working_for_those_who_wait() -> None:
    simulation = overloaded(floor=MIB)
    simulation.run(30, 100 * MIB)
    assert simulation.run(300, MIB // 2).share > 0.8
