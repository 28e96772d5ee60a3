"""What travels between the processes: touchpoints, identifiers, trails, topics and rows."""
