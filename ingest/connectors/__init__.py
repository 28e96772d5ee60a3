"""The built-in connectors, one module a provider."""
