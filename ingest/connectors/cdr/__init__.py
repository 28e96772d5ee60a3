"""Call detail records of a telephone system. See docs/channels/cdr.md."""

from ingest.connectors.cdr.connector import Cdr, CdrOptions

__all__ = ["Cdr", "CdrOptions"]
