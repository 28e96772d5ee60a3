"""The embedded stack: everything that production gets from servers, on one machine."""
