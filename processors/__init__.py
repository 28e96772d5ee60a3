"""Stream processors: identity resolution, profiles, segments and engagement, as pure functions.

stage         the interface of a stage: a pure decision over a batch of records
trails        a stage: adds touches to the trail of their lead identifier
engagement    a part of trails: counters per hour
graph         a stage: decides which identifiers are one person
profiles      a stage: merges trails to profiles and evaluates segments
segments      a part of profiles: definitions of segments, compiled
stage_topics  consumer group, tables and changelogs of a stage
engine        the Faust adapter, which runs a stage over Kafka
"""
