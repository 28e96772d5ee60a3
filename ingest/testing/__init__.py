"""Suites of tests for the promises of connectors, and what runs them.

`suite` is for webhooks, `batch` for files and providers that are asked; both need pytest and
hypothesis (`pip install 'touchline[testing]'`). See docs/plug-in-a-channel.md.
"""
