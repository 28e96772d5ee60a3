"""The graph: which identifiers are one person.

The stage reads `identity.links`. It keeps identifiers, sets and groups, each link with every
decision about it, and operators' commands. It writes `identity.assignments`, `identity.conflicts`,
`identity.verdicts` and `identity.splits`, and to `identity.links` the rest of a withdrawal.

stage           the stage, and the rules
linking         decides one link
splitting       carries out an operator's command
withdrawal      withdraws the refused links that a command concerns, slice by slice
identity_graph  identifiers, sets, groups and links as they are
placement       derives profiles from them
working_copy    the rows that a batch reads and changes
rows            the rows in stored form
outputs         the records that a batch publishes
"""
