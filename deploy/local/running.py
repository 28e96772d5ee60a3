"""The stack that `touchline up` runs on this machine, for commands that connect from outside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from deploy.config.settings import Settings, with_changes

#: The sources of `up` if none is configured: two of them, with keys that are not secret.
DEVELOPMENT_SOURCES = {
    "web": {"connector": "segment", "write_key": "dev"},
    "events": {"connector": "touchpoint", "token": "dev"},
}
#: File in the folder of `up`; it exists as long as `up` runs.
STACK_FILE = "stack.json"


def at_running_stack(settings: Settings, data: Path) -> Settings:
    """Return the settings, with missing addresses taken from the `up` on this folder.

    Missing sources are added too: `up` creates some if none are configured.
    """
    try:
        stack = json.loads((data / STACK_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return settings
    changes: dict[str, Any] = {} if settings.sources else {"sources": DEVELOPMENT_SOURCES}
    if not settings.names_clickhouse:
        changes["clickhouse"] = {"url": stack["clickhouse"]}
    if not settings.names_kafka:
        changes["kafka"] = {"bootstrap_servers": stack["kafka"]}
    return with_changes(settings, changes)
