"""Tools for writing and setting up a connector."""
