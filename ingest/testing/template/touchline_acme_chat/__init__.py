"""Acme Chat: what customers wrote and were answered. See README.md."""
