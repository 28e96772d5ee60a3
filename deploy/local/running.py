"""The stack that `touchline up` runs on this machine, for commands that look at it from outside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from deploy.config.settings import Settings, with_changes

#: What `up` without any source takes: two of them, with keys that are no secret.
DEVELOPMENT_SOURCES = {
    "web": {"connector": "segment", "write_key": "dev"},
    "events": {"connector": "touchpoint", "token": "dev"},
}
#: In `up`'s folder; it is there as long as `up` runs.
STACK_FILE = "stack.json"


def at_running_stack(settings: Settings, data: Path) -> Settings:
    """The settings, with the addresses of the `up` on this folder where they name none.

    The sources too: `up` makes some where none are configured.
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
