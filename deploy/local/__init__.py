"""The embedded stack: local replacements, on one machine, for the servers of production."""
