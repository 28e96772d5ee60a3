"""Composition: settings, command line, processes and the embedded stack."""
