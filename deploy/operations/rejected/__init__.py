"""What was refused, and how it is replayed: `touchline rejected`.

`log` reads refusals from ClickHouse and keeps the marks of what was replayed. `verdict` says what
would become of a refusal today, `replay` goes through a selection of them, `line` is the way to
Kafka. `text` are the lines for people, `document` the answers for programs.
"""
