"""`touchline demo`: sample data, generated traffic, and a report that proves its numbers."""
