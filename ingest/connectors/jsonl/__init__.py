"""Files of JSON lines: a touchpoint a line, as it is or by a mapping. See docs/channels/csv.md."""

from ingest.connectors.jsonl.connector import JsonLines, JsonLinesOptions

__all__ = ["JsonLines", "JsonLinesOptions"]
