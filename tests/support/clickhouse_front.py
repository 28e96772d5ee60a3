"""ClickHouse's HTTP interface with an error in front of the real engine, for what a small machine
cannot be brought to say: answers as ClickHouse gives them, with status, header and text."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

#: What ClickHouse repeats of a row in its texts must not come out of the sink.
SECRET = "hanako@example.jp"


@dataclass
class Front:
    """Forwards everything; while `code` is set, inserts are answered with it, and while it holds
    them, they wait."""

    url: str
    target: str
    code: int | None = None
    name: str = ""
    #: Whether the insert is carried out before the error is answered.
    done: bool = False
    refused: int = 0
    _open: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._open.set()

    def hold(self) -> None:
        self._open.clear()

    def release(self) -> None:
        self._open.set()

    def wait(self) -> None:
        self._open.wait(20)

    def refuse(self, code: int, name: str, *, done: bool = False) -> None:
        self.name, self.done, self.refused, self.code = name, done, 0, code

    def heal(self) -> None:
        self.code = None


@contextmanager
def front_of(target: str) -> Iterator[Front]:
    """A front of the ClickHouse at the address `target`."""
    front = Front("", target)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            insert = "INSERT" in self.path or b"INSERT" in body[:200]
            if insert:
                front.wait()
            code = front.code if insert else None
            if code is None:
                self._answer(*self._forwarded(body))
                return
            if front.done:
                self._forwarded(body)
            front.refused += 1
            text = f"DB::Exception: It was {SECRET}. ({front.name}) (version 26.9)"
            text = f"Code: {code}. {text}"
            self._answer(500, {"X-ClickHouse-Exception-Code": str(code)}, text.encode())

        do_GET = do_POST

        def _forwarded(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
            server = http.client.HTTPConnection(urlsplit(front.target).netloc, timeout=60)
            try:
                head = {k: v for k, v in self.headers.items() if k.lower() != "connection"}
                server.request(self.command, self.path, body, head)
                answer = server.getresponse()
                return answer.status, dict(answer.getheaders()), answer.read()
            finally:
                server.close()

        def _answer(self, status: int, head: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in head.items():
                if name.lower() not in {"content-length", "date", "server", "connection"}:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    front.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield front
    finally:
        front.release()
        server.shutdown()
        thread.join()
        server.server_close()
