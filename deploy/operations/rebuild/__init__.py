"""Everything that is derived, computed anew from what is stored: `touchline rebuild`.

`rebuild` decides how: in place, or `beside` the running system and then the `switch`, both at a
`site` with a `crew` of processes. `history` reads what is stored, `replay` publishes it, and
`live_copy` what comes in meanwhile. `leftovers` removes what is of no use any more.
"""
