"""Refused events and their replay: `touchline rejected`.

log         reads refusals from ClickHouse, stores the marks of those that were replayed
assessment  the outcome that a refusal would have today
replay      processes a selection of refusals; publisher: sends its records to Kafka
text        output for people; document: output for programs
"""
