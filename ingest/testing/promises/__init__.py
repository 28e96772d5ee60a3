"""The promises of connectors by theme; `ingest.testing.suite` and `ingest.testing.batch` put
them together.
"""
