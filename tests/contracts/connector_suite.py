"""The suites are part of the package: `ingest/testing/`."""

from ingest.testing.suite import ConnectorSuite
from ingest.testing.values import JSON, RECEIVED_MS, RELAXED, URL, load, places, put

__all__ = ["JSON", "RECEIVED_MS", "RELAXED", "URL", "ConnectorSuite", "load", "places", "put"]
