"""The built-in connectors, one package a provider, laid out as `touchline connectors new` does."""
