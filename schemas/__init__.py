"""The data sent between the processes: touchpoints, identifiers, trails, topics and rows."""
