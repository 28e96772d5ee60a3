"""The embedded stack: local replacements, on one machine, for the servers of production.

stack              `touchline up`: all processes, in order; stack_file: their addresses
broker             librdkafka's in-memory Kafka
kafka              Apache Kafka on a local folder
clickhouse_engine  chDB, ClickHouse's engine in a process; clickhouse_http: its HTTP interface
extra              the packages that only this room needs
ports, file_lock, readiness
                   free ports, a lock between processes, waits for servers
"""
