"""Prometheus metrics.

catalogue   every metric: name, labels, description
counters    the metric ports of gateway, pulls, engine and sinks
exposition  the endpoint /metrics of a process
"""
