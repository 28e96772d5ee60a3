"""Stream processors: identity resolution, profiles, segments and engagement, as pure functions.

A stage is a pure function of a batch (`stage`). `trails`, `graph` and `profiles` are the stages;
`engagement` is a part of trails, `segments` of profiles. `engine` runs a stage over Kafka.
"""
