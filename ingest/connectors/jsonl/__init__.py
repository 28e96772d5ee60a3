"""Files with a JSON object a line. See docs/channels/jsonl.md."""

from ingest.connectors.jsonl.connector import JsonLines, JsonLinesOptions

__all__ = ["JsonLines", "JsonLinesOptions"]
