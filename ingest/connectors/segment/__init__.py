"""Segment's protocol: calls of its SDKs and of RudderStack's on sites, apps and servers.

See docs/channels/segment.md.
"""

from ingest.connectors.segment.connector import Segment, SegmentOptions

__all__ = ["Segment", "SegmentOptions"]
