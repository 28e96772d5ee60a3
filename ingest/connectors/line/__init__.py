"""LINE's Messaging API. See docs/channels/line.md."""

from ingest.connectors.line.connector import Line, LineOptions

__all__ = ["Line", "LineOptions"]
