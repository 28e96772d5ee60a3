"""The demo's own stack: `touchline up` as a child, with a configuration made for this run."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

import yaml

from deploy.config.settings import SHIPPED_SEGMENTS, plain_environment
from deploy.demo.wire import PUBLIC_URL, Keys
from deploy.local.stack_file import Addresses, StackFile
from deploy.runtime.processes import die_with_parent, stop
from deploy.runtime.signals import Interrupts
from schemas.errors import TouchlineError

_START_TIMEOUT_S = 90.0
#: Seconds that `up` gets to process everything that is in flight before it is killed.
_STOP_GRACE_S = 60.0


class StackFailed(TouchlineError):
    """The stack did not start, or ended. The message is one line."""


class DemoStack:
    """A running `touchline up` below a folder; a context manager that leaves no process behind.

    With `keep` the stack stays after a clean exit, and is not tied to this process.
    """

    def __init__(self, folder: Path, keys: Keys, interrupts: Interrupts, *, keep: bool) -> None:
        self.data = folder / "data"
        self.log = folder / "up.log"
        self._config = folder / "touchline.yaml"
        self._keys = keys
        self._interrupts = interrupts
        self._keep = keep
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def logs(self) -> Path:
        """Return the folder of the processes' logs."""
        return self.data / "logs"

    @property
    def pid(self) -> int:
        """Return the process to be ended (SIGTERM) when the stack was kept."""
        return self._process.pid if self._process else 0

    def start(self) -> Addresses:
        """Start everything; return when all is ready. Raises `StackFailed`."""
        self._configure()
        command = [sys.executable, "-m", "deploy", "--config", str(self._config)]
        with self.log.open("ab") as log, self._interrupts.deferred():
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                [*command, "up", "--data", str(self.data)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=plain_environment(),
                # Ctrl-C reaches only this process, which stops the stack in order.
                start_new_session=True,
                preexec_fn=None if self._keep else die_with_parent,  # noqa: PLW1509 - a system call
            )
        return self._addresses()

    def alive(self) -> bool:
        """Return True if the stack still runs."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """End everything and wait for it."""
        if self._process is not None:
            stop(self._process, _STOP_GRACE_S)

    def __enter__(self) -> DemoStack:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None or not self._keep:
            self.stop()

    def _configure(self) -> None:
        self.data.mkdir(parents=True, exist_ok=True)
        configuration = {
            "gateway": {"public_url": PUBLIC_URL},
            "identity": {"default_region": "US"},
            "segments": str(SHIPPED_SEGMENTS),
            "state": str(self.data / "state"),
            "sources": self._keys.sources(),
        }
        self._config.touch(mode=0o600)
        self._config.write_text(yaml.safe_dump(configuration, sort_keys=False), encoding="utf-8")

    def _addresses(self) -> Addresses:
        file = StackFile(self.data)
        give_up = time.monotonic() + _START_TIMEOUT_S
        while (addresses := file.read()) is None:
            if not self.alive():
                raise StackFailed(f"the stack did not start: {self._last_words()}")
            if time.monotonic() > give_up:
                raise StackFailed(f"the stack is not ready after {_START_TIMEOUT_S:.0f} s")
            time.sleep(0.05)
        return addresses

    def _last_words(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-1:]
        return lines[0][:300] if lines else f"see {self.log}"
