"""Why identifiers are one person, and how an operator undoes it: `touchline identity`.

`log` reads the decisions about links from ClickHouse. `explain` makes an answer of them (`chains`
finds what holds a person together), `explain_text` its lines. `split` plans, commands and watches
a split of one identifier, `split_many` of all links of a source and time; `split_text` says what
came of it, and `graph_commands` is the way to the graph.
"""
