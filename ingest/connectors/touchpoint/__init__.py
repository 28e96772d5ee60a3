"""Touchpoints and CloudEvents of a company's own systems. See docs/channels/touchpoint.md."""

from ingest.connectors.touchpoint.connector import TouchpointConnector, TouchpointOptions

__all__ = ["TouchpointConnector", "TouchpointOptions"]
