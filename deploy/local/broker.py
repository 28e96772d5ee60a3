"""librdkafka's in-memory broker in a process of its own: Kafka's protocol without a server.

It serves `touchline demo`, `touchline up` without configuration, and quick tests. Its limits, as
measured with librdkafka 2.16 (the constants are in `deploy.config.embedded`):

- it holds at most 5 MB (`PARTITION_BYTES`) per partition and then silently drops the oldest record
  sets, read or not: a writer must watch the readers (`deploy.kafka.admission`);
- it answers a fetch with one record set per partition, however many wait, so that small ones are
  read slowly;
- everything is gone when it stops;
- every topic has 4 partitions (`PARTITIONS`) and appears with the first metadata request for it;
- it supports no CreateTopics, no ListGroups and no rebalance between two members;
- it answers an ApiVersions request of a version that it does not know in a non-standard form, so
  kafka-python must be configured with a protocol of Kafka 2.3 (`API_VERSION`); aiokafka and
  librdkafka detect it themselves.
"""

from __future__ import annotations

import ctypes
import subprocess
import sys
import threading
from pathlib import Path

from deploy.runtime.processes import die_with_parent, stop
from deploy.runtime.signals import stop_event

_START_TIMEOUT = 20.0
#: A client's kind in librdkafka's C interface; the cluster hangs on a client that does nothing.
_PRODUCER = 0
_REBALANCE_DELAY_MS = 50


class EmbeddedBroker:
    """The broker as a child process; a context manager that yields itself once it listens."""

    def __init__(self, log: Path | None = None) -> None:
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self.bootstrap_servers = ""

    def start(self) -> EmbeddedBroker:
        """Start the broker; return once `bootstrap_servers` is known."""
        errors = self._log.open("ab") if self._log else subprocess.DEVNULL
        self._process = subprocess.Popen(
            [sys.executable, "-m", "deploy.local.broker"],
            stdout=subprocess.PIPE,
            stderr=errors,
            # Ctrl-C reaches only the parent, which stops this process last.
            process_group=0,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - only a system call, no Python state
        )
        if not isinstance(errors, int):
            errors.close()
        guard = threading.Timer(_START_TIMEOUT, self._process.kill)
        guard.start()
        if self._process.stdout is not None:
            self.bootstrap_servers = self._process.stdout.readline().decode().strip()
        guard.cancel()
        if not self.bootstrap_servers:
            self.stop()
            raise RuntimeError("the in-memory broker did not start")
        return self

    def poll(self) -> int | None:
        """Return the exit status if the broker has ended."""
        return self._process.poll() if self._process else None

    def stop(self) -> None:
        """Stop the broker; all its records are lost."""
        if self._process is not None:
            stop(self._process)
            if self._process.stdout is not None:
                self._process.stdout.close()
            self._process = None

    def __enter__(self) -> EmbeddedBroker:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def main() -> None:
    """Print the bootstrap address as one line, then serve until SIGTERM or SIGINT."""
    stopped = stop_event()
    print(_cluster(), flush=True)
    stopped.wait()


def _cluster() -> str:
    """Start the cluster of one broker and return its address; it lasts as long as the process.

    Through librdkafka's C interface, which alone can shorten the 3 s for which the cluster waits
    for further members of a new group: it could not rebalance between two anyway.
    """
    from confluent_kafka import cimpl  # noqa: PLC0415 - only the child needs librdkafka

    library = ctypes.CDLL(cimpl.__file__)
    library.rd_kafka_conf_new.restype = ctypes.c_void_p
    library.rd_kafka_new.restype = ctypes.c_void_p
    library.rd_kafka_mock_cluster_new.restype = ctypes.c_void_p
    library.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
    said = ctypes.create_string_buffer(512)
    settings = ctypes.c_void_p(library.rd_kafka_conf_new())
    client = ctypes.c_void_p(library.rd_kafka_new(_PRODUCER, settings, said, len(said)))
    if not client:
        raise RuntimeError(f"librdkafka did not start: {said.value.decode()}")
    cluster = ctypes.c_void_p(library.rd_kafka_mock_cluster_new(client, 1))
    library.rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, _REBALANCE_DELAY_MS)
    address: bytes = library.rd_kafka_mock_cluster_bootstraps(cluster)
    return address.decode()


if __name__ == "__main__":
    main()
