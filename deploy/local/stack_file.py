"""`stack.json`: the addresses of a running `touchline up`, for commands beside it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from deploy.config.settings import Settings, with_changes

#: The sources of `up` if none is configured: two of them, with keys that are not secret.
DEVELOPMENT_SOURCES = {
    "web": {"connector": "segment", "write_key": "dev"},
    "events": {"connector": "touchpoint", "token": "dev"},
}
_NAME = "stack.json"


@dataclass(frozen=True, slots=True)
class Addresses:
    """Addresses of all processes; the content of the file."""

    gateway: str = ""
    clickhouse: str = ""
    kafka: str = ""
    #: Process -> address of its metrics.
    metrics: dict[str, str] = field(default_factory=dict)


class StackFile:
    """The file in the folder of `up`; it exists while all processes are ready."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _NAME

    def read(self) -> Addresses | None:
        """Return the addresses; None if `up` does not run, or is not ready yet."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Addresses)
        except (OSError, msgspec.MsgspecError):
            return None

    def write(self, addresses: Addresses) -> None:
        """Write the addresses atomically: a reader of the file never sees a part of it."""
        draft = self._path.with_suffix(".tmp")
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(asdict(addresses), indent=2) + "\n", encoding="utf-8")
        draft.replace(self._path)

    def remove(self) -> None:
        """Remove the file, if there is one."""
        self._path.unlink(missing_ok=True)


def at_running_stack(settings: Settings, data: Path) -> Settings:
    """Return the settings, with missing addresses taken from the `up` on this folder.

    Missing sources are added too: `up` creates some if none are configured.
    """
    addresses = StackFile(data).read()
    if addresses is None:
        return settings
    changes: dict[str, Any] = {} if settings.sources else {"sources": DEVELOPMENT_SOURCES}
    if not settings.names_clickhouse:
        changes["clickhouse"] = {"url": addresses.clickhouse}
    if not settings.names_kafka:
        changes["kafka"] = {"bootstrap_servers": addresses.kafka}
    return with_changes(settings, changes)
