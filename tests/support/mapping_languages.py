"""A mapping that files and webhooks read alike, and the options of a source with one."""

from __future__ import annotations

from typing import Any

#: Connectors of the two languages: that of files, and that of webhooks.
LANGUAGES = ("jsonl", "mapped")
SIGNATURE = {"scheme": "token", "header": "x-token", "secret": "s"}
RULES: dict[str, Any] = {
    "type": "order_completed",
    "channel": "store",
    "event_id": "id",
    "identifiers": {"email": "mail"},
}


def options(language: str, rules: dict[str, Any]) -> dict[str, Any]:
    """The options of a source of this connector with a mapping."""
    return {"signature": SIGNATURE, "mapping": rules} if language == "mapped" else {"map": rules}
