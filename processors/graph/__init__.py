"""The graph: which identifiers are one person."""
