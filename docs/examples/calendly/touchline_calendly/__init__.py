"""Calendly as a channel of Touchline."""
