"""The connector `mapped`: any webhook with a body in JSON, by a mapping and without code.

A request goes through `signatures` (is it genuine), `connector` (which events are in it), `touches`
(which rule, which type) and `drawing` (the other fields). `rules` and `values` are the options,
`expressions` and `shape` the JMESPath in them, `rest` what is left for the properties. See
docs/channels/mapped.md.
"""
