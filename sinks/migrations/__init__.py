"""The numbered SQL files that `sinks.migrate` applies."""
