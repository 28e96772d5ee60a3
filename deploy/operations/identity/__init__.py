"""Explaining and splitting the identifiers of one person: `touchline identity`.

`log` reads the decisions about links from ClickHouse. `explain` builds the explanation (`chains`
finds the links that hold a person together), `explain_text` formats it. `split` plans, commands and
watches a split of one identifier, `split_many` of all links of a source and time; `split_text`
formats the result, and `graph_commands` sends commands to the graph.
"""
