"""Snowplow: events of its trackers on sites, apps and servers. See docs/channels/snowplow.md."""

from ingest.connectors.snowplow.connector import Snowplow, SnowplowOptions

__all__ = ["Snowplow", "SnowplowOptions"]
