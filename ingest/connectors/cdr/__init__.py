"""Telephone systems: files of call detail records, a call a row. See docs/channels/cdr.md."""

from ingest.connectors.cdr.connector import Cdr, CdrOptions

__all__ = ["Cdr", "CdrOptions"]
