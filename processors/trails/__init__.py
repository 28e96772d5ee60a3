"""Trails: the home of an identifier, where its touches add up, each exactly once."""
