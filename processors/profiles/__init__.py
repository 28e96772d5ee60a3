"""Profiles: one row per person, merged from the newest trail of each of its identifiers."""
