"""Processes: made from the configuration, started, supervised; their logs and metrics."""
