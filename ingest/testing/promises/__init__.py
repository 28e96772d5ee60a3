"""The promises of connectors by theme; `suite` and `batch` put them together."""
