"""LINE: messages, follows and postbacks to an official account. See docs/channels/line.md."""

from ingest.connectors.line.connector import Line, LineOptions

__all__ = ["Line", "LineOptions"]
