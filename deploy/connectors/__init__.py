"""For those who write or set up a connector."""
