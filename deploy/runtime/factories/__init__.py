"""Conversion of the settings to the connections, sources and stages that the packages require.

clickhouse  the connection to ClickHouse
sources     the configured sources, as imports, pulls and replays use them
gateway     the gateway's address and limits, and the sources that it serves
stages      the stages of the worker, and their segments
"""
