"""A load generator for the gateway, as cheap as Python makes it, for a process of its own.

Requests are bytes that were made before, sent over connections that stay open. Without a rate each
connection sends the next request as soon as the last is answered. With a rate requests are due at
fixed times, and a latency counts from the due time: a gateway that stalls is not measured less
often.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import time
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

_TICK_S = 0.001
#: The time for requests still due at the end: a gateway that shares its cores may be far behind.
_PATIENCE_S = 300


class Answers(NamedTuple):
    """The replies to a load: requests answered 2xx, others, wall seconds, latencies in seconds."""

    good: int
    bad: int
    seconds: float
    latencies: list[float]

    def percentile(self, percent: float) -> float:
        """Return the latency that this percentage does not exceed, in milliseconds."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] * 1000


def drive(
    port: int, requests: Sequence[bytes], connections: int, seconds: float, rate: float | None
) -> Answers:
    """Send the requests round and round for this time; `rate` in requests a second."""
    gc.freeze()
    gc.disable()
    return asyncio.run(_drive(port, requests, connections, seconds, rate))


async def _drive(
    port: int, requests: Sequence[bytes], connections: int, seconds: float, rate: float | None
) -> Answers:
    loop = asyncio.get_running_loop()
    load = _Load(requests, rate is None)
    made = [
        (await loop.create_connection(lambda: _Connection(load), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    begin = time.perf_counter()
    load.until = begin + seconds
    for connection in made:
        load.free(connection)
    if rate is not None:
        for number in itertools.count():
            due = begin + number / rate
            if due > load.until:
                break
            while (ahead := due - time.perf_counter()) > 0:  # noqa: ASYNC110 - the clock is no event
                await asyncio.sleep(min(ahead, _TICK_S))
            load.due(due)
    else:
        await asyncio.sleep(seconds)
    async with asyncio.timeout(_PATIENCE_S):
        while load.under_way:  # noqa: ASYNC110 - an event would cost something for each request
            await asyncio.sleep(_TICK_S)
    took = time.perf_counter() - begin
    for connection in made:
        connection.close()
    return Answers(load.good, load.bad, took, load.latencies)


class _Load:
    """The state of a load: the next request, the free connections, and the replies."""

    def __init__(self, requests: Sequence[bytes], closed: bool) -> None:
        self._requests = itertools.cycle(requests)
        self._closed = closed
        self._idle: list[_Connection] = []
        self._due: deque[float] = deque()
        self.under_way = 0
        self.until = 0.0
        self.good = self.bad = 0
        self.latencies: list[float] = []

    def free(self, connection: _Connection) -> None:
        """Note that the connection can send a request."""
        if self._due:
            self._send(connection, self._due.popleft())
        elif self._closed and (now := time.perf_counter()) < self.until:
            self._send(connection, now)
        else:
            self._idle.append(connection)

    def due(self, when: float) -> None:
        """Note that a request is due."""
        if self._idle:
            self._send(self._idle.pop(), when)
        else:
            self._due.append(when)

    def answered(self, connection: _Connection, status: bytes) -> None:
        """Note the reply to a connection's request."""
        self.under_way -= 1
        self.latencies.append(time.perf_counter() - connection.since)
        if status[:1] == b"2":
            self.good += 1
        else:
            self.bad += 1
        self.free(connection)

    def _send(self, connection: _Connection, since: float) -> None:
        self.under_way += 1
        connection.send(next(self._requests), since)


class _Connection(asyncio.Protocol):
    """A connection with one request at a time."""

    def __init__(self, load: _Load) -> None:
        self._load = load
        self._buffer = b""
        self.since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def send(self, request: bytes, since: float) -> None:
        self.since = since
        self._transport.write(request)

    def close(self) -> None:
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, blank, body = self._buffer.partition(b"\r\n\r\n")
        if not blank:
            return
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        if len(body) >= length:
            self._buffer = b""
            self._load.answered(self, head[9:12])
