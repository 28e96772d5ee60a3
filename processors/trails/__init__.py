"""Trails: the home of an identifier, where its touches add up, each exactly once.

The stage reads `touchpoints` and `identity.assignments`. It keeps trails, assignments, verdicts on
links, engagement counters and the ids of events seen. It writes `trails`, `touchpoints.accepted`,
`engagement`, `identities` and `identity.links`.

stage             the stage, and its handling of touches
touches           touches as they come in, without redeliveries
builder           adds touches to a trail
type_cardinality  bounds the number of types in a trail
link_requests     asks the graph about links that are open
assignments       moves trails by the graph's answers
rows              the rows in stored and in published form
"""
