"""Profiles: one row per person, merged from the newest trail of each of its identifiers.

The stage reads `trails`; it keeps per profile the newest trail of each identifier, memberships and
the next deadline; it writes `profiles` and `segment.changes`.

- `stage`: the stage, its clock and its ticks
- `change`: a profile's row while a batch changes it
- `merge`: the merge of trails; `score` is the engagement score in it
- `rows`: the row in stored and in published form

`processors.segments` has the definitions that a profile is tested by.
"""
