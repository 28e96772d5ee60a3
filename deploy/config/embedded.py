"""Fixed properties of the embedded broker, librdkafka's in-memory one (`deploy.local.broker`).

They are here, apart from the broker itself, because clients and settings go by them wherever the
broker runs: this module imports nothing.
"""

#: Partitions of every topic.
PARTITIONS = 4
#: Bytes that a partition holds at most before it drops its oldest record sets.
PARTITION_BYTES = 5 * 1024 * 1024
#: The version of the protocol for clients that cannot detect it.
API_VERSION = "2.3"
