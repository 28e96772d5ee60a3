"""Segment-protocol SDKs. See docs/channels/segment.md."""

from ingest.connectors.segment.connector import Segment, SegmentOptions

__all__ = ["Segment", "SegmentOptions"]
