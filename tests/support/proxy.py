"""A TCP proxy that misbehaves on request: what a network does between two processes of a test.

    with Proxy("127.0.0.1", 9092) as proxy:
        client = Client(proxy.address)
        proxy.behave(Blackhole())
        ...
        proxy.behave(Pass())

It runs in a thread of its own. A mode holds from the return of `behave` on, for the connections
that are open too. The address stays ours in every mode, so that a refused port is taken by nobody
else. Leaving the block cuts everything and leaves no thread, socket or task.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

_CHUNK = 64 * 1024


@dataclass(frozen=True)
class Pass:
    """Forward everything."""


@dataclass(frozen=True)
class Refuse:
    """Nobody listens, and whoever was connected is cut: the process behind is dead."""


@dataclass(frozen=True)
class Blackhole:
    """Accept, and forward nothing in either direction. Like packets that a firewall drops, the
    bytes are not lost: they arrive once another mode holds, if the connection is still there."""


@dataclass(frozen=True)
class Delay:
    """Every answer takes so many seconds longer; the throughput stays what it was."""

    seconds: float


@dataclass(frozen=True)
class CutAnswer:
    """Requests arrive and are carried out, but where the answer should come the connection is cut.

    Of requests in which `asked` stands (within one chunk, as the head of an HTTP request does) if
    it is given; other requests are answered. Only `times` times, if that is given.
    """

    asked: bytes = b""
    times: int | None = None


@dataclass(frozen=True)
class CutAfter:
    """Each connection is cut once so many bytes of requests have gone through since the mode was
    set; the bytes up to there arrive."""

    size: int


Mode = Pass | Refuse | Blackhole | Delay | CutAnswer | CutAfter


class Proxy:
    """Listens on a free port and forwards to `host:port`, which may be nobody's yet."""

    def __init__(self, host: str, port: int) -> None:
        self.target = (host, port)
        #: Connections accepted so far, and those of them that a mode or `cut` has cut.
        self.accepted = self.cuts = 0
        self._mode: Mode = Pass()
        self._pairs: set[_Pair] = set()
        self._loop = asyncio.new_event_loop()
        self._changed = asyncio.Event()
        # Bound for as long as we live and never listening: keeps the port while it is refused.
        self._reserved = _bound(0)
        self.port: int = self._reserved.getsockname()[1]
        self._listener: socket.socket | None = None
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name=f"proxy-{self.port}", daemon=True)
        self._thread.start()
        self._call(self._listen())

    @property
    def address(self) -> str:
        """`host:port`, as bootstrap servers are written."""
        return f"127.0.0.1:{self.port}"

    @property
    def open(self) -> int:
        """Connections that are open at this moment."""
        return len(self._pairs)

    def behave(self, mode: Mode) -> None:
        """Take another mode, for new and for open connections."""
        self._call(self._behave(mode))

    def cut(self) -> None:
        """Cut every connection that is open now; what comes then is treated by the mode."""
        self._call(self._cut())

    def close(self) -> None:
        """Cut everything and give the port back; safe to call again."""
        if self._thread.is_alive():
            self._call(self._close())
            self._thread.join()
            self._reserved.close()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._stopping.wait())

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> None:
        if self._listener is None:
            self._listener = _bound(self.port)
            self._listener.listen(128)
            self._loop.add_reader(self._listener, self._arrived, self._listener)

    async def _unlisten(self) -> None:
        if self._listener is not None:
            self._loop.remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    def _arrived(self, listener: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            client, _ = listener.accept()
            client.setblocking(False)
            self.accepted += 1
            pair = _Pair(self, client)
            pair.mode_is(self._mode)
            self._pairs.add(pair)
            pair.task.add_done_callback(lambda _: self._ended(pair))

    def _ended(self, pair: _Pair) -> None:
        pair.close()
        self._pairs.discard(pair)

    async def _behave(self, mode: Mode) -> None:
        self._mode = mode
        if isinstance(mode, Refuse):
            await self._unlisten()
            await self._cut()
        else:
            await self._listen()
        for pair in self._pairs:
            pair.mode_is(mode)
        self._changed.set()
        self._changed = asyncio.Event()

    async def _cut(self) -> None:
        for pair in tuple(self._pairs):
            pair.cut()
        if self._pairs:
            await asyncio.wait([pair.task for pair in self._pairs])

    async def _close(self) -> None:
        await self._unlisten()
        await self._cut()
        self._stopping.set()

    async def passable(self) -> None:
        """Return once bytes may go on."""
        while isinstance(self._mode, Blackhole):
            await self._changed.wait()

    @property
    def delay_s(self) -> float:
        """Return by how much later an answer that arrives now is to go on."""
        return self._mode.seconds if isinstance(self._mode, Delay) else 0.0

    def takes_answer(self, asked: bool) -> bool:
        """Return whether the answer that is there now is to be cut off; counts it."""
        mode = self._mode
        if not isinstance(mode, CutAnswer) or not asked or mode.times == 0:
            return False
        if mode.times is not None:
            self._mode = CutAnswer(mode.asked, mode.times - 1)
        return True


class _Pair:
    """A client's connection and the one behind it."""

    def __init__(self, proxy: Proxy, client: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._writers: list[asyncio.StreamWriter] = []
        self._left: int | None = None
        self._marker: bytes | None = None
        self._asked = self._is_cut = False
        self.task = asyncio.create_task(self._forward())

    def mode_is(self, mode: Mode) -> None:
        """Begin to count for a mode that counts by connection."""
        self._left = mode.size if isinstance(mode, CutAfter) else None
        self._marker = mode.asked if isinstance(mode, CutAnswer) else None
        self._asked = False

    def cut(self) -> None:
        """End both connections at once, with a reset, as a killed process does."""
        if self._is_cut:
            return
        self._is_cut = True
        self._proxy.cuts += 1
        for end in [self._client, *(w.get_extra_info("socket") for w in self._writers)]:
            with contextlib.suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        for writer in self._writers:
            writer.transport.abort()
        self.task.cancel()

    async def _forward(self) -> None:
        try:
            client, to_client = await self._opened(sock=self._client)
            await self._proxy.passable()
            host, port = self._proxy.target
            server, to_server = await self._opened(host=host, port=port)
            await _together(self._requests(client, to_server), self._answers(server, to_client))
        except OSError:
            # Nobody is there; whoever connected finds the end of the connection.
            return

    def close(self) -> None:
        """Give the connections back; what is written still arrives."""
        for writer in self._writers:
            writer.close()
        if not self._writers:
            self._client.close()

    async def _opened(self, **where: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(**where)
        self._writers.append(writer)
        return reader, writer

    async def _requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(_CHUNK):
            await self._proxy.passable()
            if self._marker is not None and self._marker in chunk:
                self._asked = True
            if self._left is not None:
                chunk = chunk[: self._left]
                self._left -= len(chunk)
            writer.write(chunk)
            await writer.drain()
            if self._left == 0:
                self.cut()
                return
        _end(writer)

    async def _answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read and write apart, so that answers are late and yet as many as ever."""
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(maxsize=256)
        loop = asyncio.get_running_loop()

        async def read() -> None:
            while chunk := await reader.read(_CHUNK):
                if self._proxy.takes_answer(self._asked):
                    self.cut()
                    return
                await under_way.put((loop.time() + self._proxy.delay_s, chunk))
            await under_way.put((loop.time() + self._proxy.delay_s, b""))

        async def write() -> None:
            while True:
                due, chunk = await under_way.get()
                await asyncio.sleep(due - loop.time())
                await self._proxy.passable()
                if not chunk:
                    _end(writer)
                    return
                writer.write(chunk)
                await writer.drain()

        await _together(read(), write())


def _bound(port: int) -> socket.socket:
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setblocking(False)
    bound.bind(("127.0.0.1", port))
    return bound


def _end(writer: asyncio.StreamWriter) -> None:
    """No more comes this way; the other way may go on."""
    with contextlib.suppress(OSError):
        writer.write_eof()


async def _together(*work: Coroutine[Any, Any, None]) -> None:
    """All of them; the first that fails ends the others. A connection that breaks is no error."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception) and not isinstance(result, OSError):
            raise result
