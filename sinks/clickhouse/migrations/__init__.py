"""The numbered SQL files that `sinks.clickhouse.migrate` applies."""
