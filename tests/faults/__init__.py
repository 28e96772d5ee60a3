"""Faults injected into a whole Touchline under load: nothing lost, nothing counted twice."""
