"""Ingest: connectors, the HTTP gateway and the publisher to Kafka."""
