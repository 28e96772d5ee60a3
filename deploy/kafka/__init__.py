"""Kafka as operators use it: clients, topics, lag, the epoch in `control`, cursors."""
