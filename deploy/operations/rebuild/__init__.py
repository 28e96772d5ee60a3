"""Recomputation of all derived data from the stored data: `touchline rebuild`.

`rebuild` chooses the method: in place, or `beside` the running system followed by the `switch`;
both work in a `context` and start `processes`. `history` reads the stored data, `replay`
publishes it, and `live_copy` copies the records that arrive meanwhile. `leftovers` removes obsolete
topics and tables.
"""
