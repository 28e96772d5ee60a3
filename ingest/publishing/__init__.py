"""Ways to Kafka.

port                             the publisher port, its messages and errors
kafka                            over aiokafka, for the gateway
record_batches, inflight_window  one partition's batches; the bound of what waits
switching                        over a publisher that may be replaced while it is used
blocking                         over kafka-python: imports, pulls, replays, rebuilds
memory                           in memory, for tests and dry runs
"""
