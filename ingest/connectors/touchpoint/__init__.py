"""A company's own systems: touchpoints as they are, or in CloudEvents.

See docs/channels/touchpoint.md.
"""

from ingest.connectors.touchpoint.connector import TouchpointConnector, TouchpointOptions

__all__ = ["TouchpointConnector", "TouchpointOptions"]
