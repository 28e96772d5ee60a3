"""Acme Chat as a channel of Touchline."""
