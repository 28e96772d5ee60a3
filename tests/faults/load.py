"""The load: touches of customers of all sorts, sent as an SDK sends them, and what was promised.

Customers live in households. What is said of one household says nothing of another, so that the
slow reference of who is who may look at one at a time. In a household people share a tablet, now
and then a phone number (which identity then refuses to follow), and a till that names two people at
once stands between them.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from schemas.times import now_ms
from schemas.touchpoint import Touchpoint
from schemas.touchpoint_row import TouchpointRow
from tests.faults.worker import poison
from tests.support.identity_world import POLICIES
from tests.support.pipeline import accepted
from tests.support.system import SOURCES, Reply, System

POLICY = POLICIES["default"]
#: At this age a customer without newer touches becomes quiet, by time alone.
QUIET = timedelta(days=2)
_TYPES = (
    ("web", "page_viewed"), ("web", "product_viewed"), ("phone", "call_completed"),
    ("email", "email_opened"), ("social", "message_received"),
)  # fmt: skip
#: The stage with a bug: it sets aside what it fails at before anything else comes of it.
BUGGY = "trails"
#: Longer than a gateway waits for Kafka.
_PATIENCE = 30.0
_SENDERS = 4


class Sent(NamedTuple):
    """An event as its source sends it. Of a `good` one we know what it becomes."""

    source: str
    event: dict[str, Any]
    good: bool
    #: How far its sender's clock is ahead, where that says when it sent.
    ahead: timedelta | None = None
    #: Whether the stage with the bug fails at it (`tests.faults.worker`).
    poisoned: bool = False

    @property
    def name(self) -> tuple[str, str]:
        """An id is used once for each source."""
        return self.source, self.event["event_id"]


class Generator:
    """Makes events; the same seed makes the same ones but for their times."""

    def __init__(self, seed: int, households: int) -> None:
        self._random = random.Random(seed)
        self._households = households
        self._count = 0

    def batch(self) -> list[Sent]:
        """Events of one source, most of them good."""
        rng, source = self._random, self._random.choice(tuple(SOURCES))
        return [self._next(source, rng.random() > 0.03) for _ in range(rng.randint(1, 25))]

    def poison(self) -> list[Sent]:
        """A batch in the middle of which a stage with a bug fails at an event."""
        self._count += 1
        name = f"{poison(BUGGY)}{self._count}"
        event = {**_basic(name, [("customer_id", name)]), "occurred_at": _text(_now())}
        around = [self._next("web", True) for _ in range(4)]
        return [*around[:2], Sent("web", event, True, poisoned=True), *around[2:]]

    def _next(self, source: str, good: bool) -> Sent:
        self._count += 1
        rng, name = self._random, f"e{self._count}"
        house = rng.randrange(self._households)
        people = rng.sample(range(3), 2 if source == "kiosk" and rng.random() < 0.2 else 1)
        known = [one for person in people for one in _identifiers(house, person)]
        event = _basic(name, rng.sample(known, rng.randint(1, 3)))
        occurred_at, ahead = self._time(house)
        event["occurred_at"] = _text(occurred_at)
        event["traits"] = rng.choice(({}, {}, {"city": "Tokyo"}, {"city": None}, {"city": "京都"}))
        event["consent"] = rng.choice(({}, {}, {"marketing": True}, {"marketing": False}))
        event["duration_s"] = rng.choice((1.5, 20.0))
        if rng.random() < 0.3:
            currency = rng.choice(("JPY", "JPY", "USD"))
            event |= {"channel": "commerce", "type": "order_completed"}
            event["value"] = {"amount": str(rng.randint(1, 3000)), "currency": currency}
        else:
            event["channel"], event["type"] = rng.choice(_TYPES)
        if not good:
            event |= rng.choice(
                (
                    {"identifiers": [{"kind": "email", "value": "nobody"}]},
                    {"occurred_at": _text(_now() + timedelta(days=30))},
                    {"channel": "Not a channel"},
                    {"value": {"amount": "many"}},
                )
            )
        return Sent(source, event, good, ahead)

    def _time(self, house: int) -> tuple[datetime, timedelta | None]:
        """Return the time of an event, and how far its sender's clock is ahead if it says so.

        Every fifth household sleeps: its people become quiet within minutes, wherever we are.

        The others' touches are of now, by clocks that differ by minutes, or late, some by years.
        """
        rng, now = self._random, _now()
        if house % 5 == 0:
            return now - QUIET + timedelta(seconds=rng.uniform(0, 180)), None
        chance = rng.random()
        if chance < 0.6:
            ahead = timedelta(seconds=rng.uniform(-240, 240))
            return now + ahead, ahead
        days = rng.uniform(0, 30) if chance < 0.95 else rng.uniform(365, 5000)
        return now - timedelta(days=days), None


def _identifiers(house: int, person: int) -> list[tuple[str, str]]:
    name = f"{house}-{person}"
    phone = f"+81901{house % 1000:03}{person // 2:04}"  # the first two have the same
    return [
        ("customer_id", f"c{name}"), ("loyalty_id", f"l{name}"), ("email", f"{name}@example.com"),
        ("email", f"{name}@work.example.com"), ("line", f"U{name}"), ("phone", phone),
        ("anonymous_id", f"a{name}"), ("anonymous_id", f"b{name}"), ("device_id", f"d{house}"),
    ]  # fmt: skip


def _basic(event_id: str, identifiers: Sequence[tuple[str, str]]) -> dict[str, Any]:
    return {
        "event_id": event_id,
        "channel": "web",
        "type": "page_viewed",
        "identifiers": [{"kind": kind, "value": value} for kind, value in identifiers],
    }


def _now() -> datetime:
    return datetime.now(UTC)


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")


class Ledger:
    """The promises of the gateway. Used by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: Accepted: what must be in `touchpoints`, once.
        self.kept: dict[tuple[str, str], TouchpointRow] = {}
        #: Refused with a promise to keep the bytes: what must be in `rejected_touchpoints`.
        self.refused: set[tuple[str, str]] = set()
        #: Answers that nothing explains.
        self.surprises: list[str] = []
        self.retries = 0

    def note(self, batch: Sequence[Sent], reply: Reply) -> None:
        """An answer with 2xx to a batch."""
        results = msgspec.json.decode(reply.body)["results"]
        rows = [_row(sent) for sent in batch if sent.good and not sent.poisoned]
        with self._lock:
            self.kept |= {(row.source, row.event_id): row for row in rows}
            for sent, result in zip(batch, results, strict=True):
                if sent.poisoned:
                    # What fails behind the gateway is set aside without the name of its source.
                    self.refused.add(("", sent.event["event_id"]))
                elif not sent.good:
                    self.refused.add(sent.name)
                if (result["status"] == "accepted") != sent.good:
                    self.surprises.append(f"{sent.name}: {result}")

    def again(self) -> None:
        """A batch was not kept and is sent again."""
        with self._lock:
            self.retries += 1


def _now_sent(sent: Sent) -> dict[str, Any]:
    if sent.ahead is None:
        return sent.event
    return {**sent.event, "sent_at": _text(_now() + sent.ahead)}


def _row(sent: Sent) -> TouchpointRow:
    # A clock that is wrong by less than 5 minutes is not corrected.
    touch, received_ms = Touchpoint.model_validate(sent.event), now_ms()
    return accepted(touch, sent.source, POLICY, received_ms)


class Load:
    """Clients that go on sending, and send again what was not kept, until told to stop."""

    def __init__(self, system: System, urls: Callable[[], Sequence[str]], seed: int) -> None:
        self.ledger = Ledger()
        self.generator = Generator(seed, 150)
        self._system = system
        self._urls = urls
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._running = threading.Event()
        self._threads: list[threading.Thread] = []
        self._old: list[list[Sent]] = []
        self._next: list[list[Sent]] = []

    def start(self, rate: float) -> None:
        """Begin to send about so many batches a second (of 13 events in the mean)."""
        self._running.set()
        pause = _SENDERS / rate
        self._threads = [
            threading.Thread(target=self._send, args=(pause,), daemon=True) for _ in range(_SENDERS)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self, within: float) -> bool:
        """Send no more than is under way; whether all of that was kept in time."""
        self._running.clear()
        deadline = time.monotonic() + within
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def soon(self, batch: list[Sent]) -> None:
        """Send this one too, before others."""
        self._next.append(batch)

    def _send(self, pause: float) -> None:
        while self._running.is_set():
            began = time.monotonic()
            self.keep(self._batch())
            time.sleep(max(0.0, pause - (time.monotonic() - began)))

    def _batch(self) -> list[Sent]:
        with self._lock:
            if self._next:
                return self._next.pop()
            if self._old and self._random.random() < 0.05:
                return self._random.choice(self._old)  # a provider delivers again
            batch = self.generator.batch()
            self._old = [*self._old[-200:], batch]
            return batch

    def keep(self, batch: Sequence[Sent]) -> None:
        """Send a batch again and again until the gateway has kept it, as an SDK does."""
        for pause in self._pauses():
            url = self._random.choice(self._urls())
            events = [_now_sent(sent) for sent in batch]
            reply = self._system.post(events, batch[0].source, url, _PATIENCE)
            if reply.kept:
                return self.ledger.note(batch, reply)
            if 400 <= reply.status < 500 and reply.status != 429:
                # A batch of nothing but bad events.
                if not any(sent.good for sent in batch) and reply.status == 400:
                    self.ledger.refused |= {sent.name for sent in batch}
                else:
                    self.ledger.surprises.append(f"{batch[0].name}: {reply.status} {reply.body!r}")
                return None
            self.ledger.again()
            time.sleep(min(pause, float(reply.headers.get("Retry-After", pause))))
        return None

    def _pauses(self) -> Iterator[float]:
        pause = 0.1
        while True:
            yield pause
            pause = min(2.0, 2 * pause)
