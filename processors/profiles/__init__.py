"""Profiles: one row per person, merged from the newest trail of each of its identifiers.

The stage reads `trails`. It keeps per profile the newest trail of each identifier, memberships and
the next deadline. It writes `profiles` and `segment.changes`. `processors.segments` has the
definitions by which it tests a profile.

stage   the stage, its clock and its ticks
change  a profile's row while a batch changes it
merge   the merge of trails
score   the engagement score
rows    the row in stored and in published form
"""
