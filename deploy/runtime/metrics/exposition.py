"""The endpoint /metrics of a process."""

from __future__ import annotations

from importlib.metadata import version

from prometheus_client import REGISTRY, CollectorRegistry, generate_latest, start_http_server

from deploy.runtime.metrics.catalogue import BUILD, READY


def build_info(registry: CollectorRegistry = REGISTRY) -> None:
    """Export the running version."""
    BUILD.make(registry).labels(version("touchline")).set(1)


class Exposition:
    """The /metrics endpoint of one process, served from a thread; a context manager."""

    def __init__(self, host: str, port: int, registry: CollectorRegistry = REGISTRY) -> None:
        """Start serving; raise OSError if the port is in use; port 0 picks a free one."""
        build_info(registry)
        self._ready = READY.make(registry)
        self._server, self._thread = start_http_server(port, host, registry)
        self.port: int = self._server.server_port

    def ready(self) -> None:
        """Mark the process as ready."""
        self._ready.set(1)

    def __enter__(self) -> Exposition:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def text(registry: CollectorRegistry = REGISTRY) -> bytes:
    """Return the body of /metrics, for a process with an HTTP server of its own."""
    return generate_latest(registry)
