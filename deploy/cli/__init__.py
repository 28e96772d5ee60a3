"""The command line `touchline`."""
