"""Refused events and their replay: `touchline rejected`.

`log` reads refusals from ClickHouse and stores the marks of those that were replayed. `assessment`
decides the outcome that a refusal would have today, `replay` processes a selection of them, `line`
sends records to Kafka. `text` formats the output for people, `document` that for programs.
"""
