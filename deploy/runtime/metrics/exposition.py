"""The endpoints for operators of a process without an HTTP server of its own.

`/metrics` for Prometheus, `/healthz` (the process answers) and `/readyz` (it does its work: 200, or
503 with the reason). Every other path is 404.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterable
from importlib.metadata import version
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import REGISTRY, CollectorRegistry, generate_latest, make_wsgi_app

from deploy.runtime.health import Health
from deploy.runtime.metrics.catalogue import BUILD, READY

_REASONS = {200: "200 OK", 404: "404 Not Found", 503: "503 Service Unavailable"}


def build_info(registry: CollectorRegistry = REGISTRY) -> None:
    """Export the running version."""
    BUILD.make(registry).labels(version("touchline")).set(1)


class Exposition:
    """The endpoints of one process, served from a thread; a context manager."""

    def __init__(
        self, host: str, port: int, health: Health, registry: CollectorRegistry = REGISTRY
    ) -> None:
        """Start serving; raise OSError if the port is in use; port 0 picks a free one."""
        build_info(registry)
        READY.make(registry).set_function(lambda: health.problem is None)
        self._health = health
        self._metrics: Any = make_wsgi_app(registry)
        server = _Server6 if _family(host, port) == socket.AF_INET6 else _Server
        self._server = make_server(host, port, self._answer, server, _Silent)
        self.port: int = self._server.server_port
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="exposition", daemon=True
        )
        self._thread.start()

    def __enter__(self) -> Exposition:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == "/metrics":
            return self._metrics(environ, start)  # type: ignore[no-any-return]
        if path == "/healthz":
            status, body = 200, {"status": "ok"}
        elif path == "/readyz":
            problem = self._health.problem
            status = 200 if problem is None else 503
            body = {"status": "ready"} if problem is None else _not_ready(problem)
        else:
            status, body = 404, {"message": "there are /metrics, /healthz and /readyz"}
        start(_REASONS[status], [("Content-Type", "application/json")])
        return [json.dumps(body).encode()]


def _not_ready(problem: str) -> dict[str, str]:
    return {"status": "not ready", "reason": problem}


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Server6(_Server):
    address_family = socket.AF_INET6


def _family(host: str, port: int) -> int:
    """Return the family of an address to listen on."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return found[0][0]


class _Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: probes come every few seconds."""


def text(registry: CollectorRegistry = REGISTRY) -> bytes:
    """Return the body of /metrics, for a process with an HTTP server of its own."""
    return generate_latest(registry)
