"""Any provider's webhook with a body in JSON, by a mapping and without code.

A request goes through `signatures` (is it genuine), `connector` (which events are in it),
`conversion` (which rule, which type) and `extraction` (the other fields). The options are `rules`,
made of `values` and `times`, each with its `origin`; `expressions` and `expression_analysis` are
the JMESPath in them, `leftover` what is not mapped and becomes properties.
See docs/channels/mapped.md.
"""

from ingest.connectors.mapped.connector import Mapped, MappedOptions

__all__ = ["Mapped", "MappedOptions"]
