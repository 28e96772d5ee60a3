"""The way from Kafka to where the data is used: a package for each destination.

clickhouse  the tables that BI tools read

What any destination shares:

backoff     pauses between attempts
outage      an outage is reported once, although many tables notice it
metrics     the port for metrics
threads     blocking calls beside asyncio
"""
