"""Explaining and splitting the identifiers of one person: `touchline identity`.

log             reads the decisions about links from ClickHouse
explain         builds the explanation; chains: the links that hold a person together
split           plans, commands and awaits a split of one identifier; split_many: of many links
graph_commands  sends commands to the graph
explain_text, split_text  output
"""
