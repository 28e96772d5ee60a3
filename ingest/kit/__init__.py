"""Shared parts of connectors: fields, signatures, and formats that several providers use."""
