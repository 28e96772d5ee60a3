"""The graph: which identifiers are one person.

The stage reads `identity.links`; it keeps identifiers, sets and groups, each link with every
decision about it, and operators' commands; it writes `identity.assignments`, `identity.conflicts`,
`identity.verdicts` and `identity.splits`, and to `identity.links` what is left of a withdrawal.

- `stage`: the stage, and the rules
- `linking`: decides one link; `splitting` carries out an operator's command, `withdrawal` its
  refused links slice by slice
- `identity_graph`: identifiers, sets, groups and links as they are; `placement` derives profiles
- `working_copy`: the rows that a batch reads and changes
- `rows`: the rows in stored form; `outputs`: what is published
"""
