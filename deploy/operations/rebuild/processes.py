"""The processes that work on an epoch while it is built: children of the command."""

from __future__ import annotations

import shutil

from deploy.config.settings import Configuration, child_environment
from deploy.operations.rebuild.progress import Say
from deploy.runtime.signals import Interrupts
from deploy.runtime.supervisor import Child, Supervisor


class RebuildProcesses:
    """Worker and sink of the next epoch, which end with this process. For the main thread."""

    def __init__(self, configuration: Configuration, interrupts: Interrupts, say: Say) -> None:
        self._configuration = configuration
        self._interrupts = interrupts
        self.folder = configuration.settings.state.absolute() / "rebuild"
        self._supervisor = Supervisor(self.folder, say)

    def start(self) -> None:
        """Start both. State that an earlier rebuild left is deleted."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        changes = {"state": str(self.folder / "state"), "metrics": {"port": 0}}
        environment = child_environment(self._configuration.file.path, changes)
        for name in ("worker", "sink"):
            with self._interrupts.deferred():
                self._supervisor.start(Child(name, (name, "--next"), environment))

    def check(self) -> None:
        """Restart children that have died. Call this often."""
        with self._interrupts.deferred():
            self._supervisor.check()

    def stop(self) -> None:
        """Stop both; return when no process is left."""
        self._supervisor.stop_together()
        shutil.rmtree(self.folder / "state", ignore_errors=True)
