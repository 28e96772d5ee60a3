"""Google Analytics 4: web and app events of the Measurement Protocol. See docs/channels/ga4.md."""

from ingest.connectors.ga4.connector import Ga4, Ga4Options

__all__ = ["Ga4", "Ga4Options"]
