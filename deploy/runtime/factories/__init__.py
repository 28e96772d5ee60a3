"""Conversion of the settings to the connections, sources and stages that the packages require.

clickhouse  the connection to ClickHouse
sources     the configured sources, as the gateway, imports, pulls and replays use them
stages      the stages of the worker, and their segments
"""
