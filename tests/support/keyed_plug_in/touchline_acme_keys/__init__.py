"""Connectors of a plug-in whose sources are found by a key."""
