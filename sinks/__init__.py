"""The way from Kafka to where the data is used: a package for each destination.

`clickhouse` fills the tables that BI tools read. The modules beside it are what any destination
shares: `backoff` (pauses between attempts), `outage` (an outage is reported once), `metrics` (the
port for metrics) and `threads` (blocking calls beside asyncio).
"""
