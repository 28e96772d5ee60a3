"""A sender of deliveries through the HTTP gateway, with a ledger of its own.

It behaves as an SDK: if asked to wait (429, 503) it waits as long as Retry-After says and sends the
same request again; it does the same if the connection breaks. The ledger records the gateway's
answers; the content of a request it takes from the generator, never from the system under test.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import aiohttp

from deploy.demo.delivery import Delivery
from deploy.demo.wire import Keys, request
from schemas import times
from schemas.errors import TouchlineError

#: Concurrent requests.
CONCURRENCY = 16
#: Seconds without a successful delivery after which a request is given up.
PATIENCE_S = 180.0
_MOST_PROBLEMS = 20


class GatewayGone(TouchlineError):
    """The gateway does not answer and has ended. The message is one line."""


@dataclass(slots=True)
class Ledger:
    """The record of all requests sent and of the gateway's answers."""

    #: Events that the gateway accepted, as (source, event id).
    accepted: set[tuple[str, str]] = field(default_factory=set)
    #: Events that it refused on purpose, by (source, reason).
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    #: Accepted events that had been accepted before.
    repeated: int = 0
    requests: int = 0
    #: Requests with a wrong signature that were answered 401.
    forged: int = 0
    #: Times that the gateway asked to wait, or the connection broke.
    waits: int = 0
    #: Unexpected results, one line each.
    problems: list[str] = field(default_factory=list)

    def record(self, delivery: Delivery, status: int) -> None:
        """Record the answer to one delivery."""
        self.requests += 1
        expected = delivery.status or (202 if delivery.source == "crm" else 200)
        if status != expected:
            if len(self.problems) < _MOST_PROBLEMS:
                self.problems.append(f"{delivery.source}: answered {status}, expected {expected}")
            return
        if delivery.forged:
            self.forged += 1
            return
        before = len(self.accepted)
        self.accepted.update((delivery.source, event_id) for event_id in delivery.kept)
        self.repeated += before + len(delivery.kept) - len(self.accepted)
        self.refused.update((delivery.source, reason) for reason in delivery.refused)


@dataclass(frozen=True, slots=True)
class Sender:
    """A sender to the gateway at `url`, as long as that is `alive`."""

    url: str
    keys: Keys
    ledger: Ledger
    now_ms: Callable[[], int] = times.now_ms
    alive: Callable[[], bool] = lambda: True
    #: The keys that sign forged requests.
    wrong_keys: Keys = field(default_factory=Keys)

    async def send_all(
        self,
        deliveries: Iterable[Delivery],
        advance: Callable[[Delivery], None] = lambda delivery: None,
    ) -> None:
        """Send in the given order, several concurrently; call `advance` after each answer.

        Raises `GatewayGone`.
        """
        queue = iter(deliveries)
        async with aiohttp.ClientSession(self.url) as session:
            try:
                async with asyncio.TaskGroup() as workers:
                    for _ in range(CONCURRENCY):
                        workers.create_task(self._work(session, queue, advance))
            except ExceptionGroup as failed:
                raise failed.exceptions[0] from None

    async def _work(
        self,
        session: aiohttp.ClientSession,
        queue: Iterator[Delivery],
        advance: Callable[[Delivery], None],
    ) -> None:
        for delivery in queue:
            self.ledger.record(delivery, await self.send(session, delivery))
            advance(delivery)

    async def send(self, session: aiohttp.ClientSession, delivery: Delivery) -> int:
        """Send one delivery until the answer is final; return the status, 0 if there was none.

        Raises `GatewayGone`.
        """
        keys = self.wrong_keys if delivery.forged else self.keys
        path, headers, body = request(delivery, keys, self.now_ms())
        give_up = time.monotonic() + PATIENCE_S
        while True:
            status, wait_s = await self._attempt(session, path, dict(headers), body)
            if wait_s is None or time.monotonic() > give_up:
                return status
            if not self.alive():
                raise GatewayGone("the gateway ended while it was sent to")
            self.ledger.waits += 1
            await asyncio.sleep(wait_s)

    async def _attempt(
        self, session: aiohttp.ClientSession, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, float | None]:
        """Send once; return the status, and the seconds to wait if it must be sent again."""
        try:
            async with session.post(path, headers=headers, data=body) as response:
                await response.read()
                if response.status not in (429, 503):
                    return response.status, None
                return response.status, float(response.headers.get("Retry-After", "1"))
        except (aiohttp.ClientConnectionError, TimeoutError):
            return 0, 1.0
