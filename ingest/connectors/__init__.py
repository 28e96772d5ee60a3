"""The built-in connectors, one package a provider: `connector`, `contract` and `payloads`."""
