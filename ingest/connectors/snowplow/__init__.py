"""Snowplow's trackers. See docs/channels/snowplow.md."""

from ingest.connectors.snowplow.connector import Snowplow, SnowplowOptions

__all__ = ["Snowplow", "SnowplowOptions"]
