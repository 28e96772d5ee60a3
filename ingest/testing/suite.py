"""The promises that every webhook connector keeps, as tests: subclass `ConnectorSuite`, fill in.

    class MyContract(ConnectorSuite):
        name = "mine"
        payloads = load(Path(__file__).parent / "payloads")

        def make(self, *secrets): ...
        def signed(self, body, secret, name=""): ...

`payloads` are request bodies as the provider documents them; all of their touches are valid. The
other hooks have defaults that fit most providers, see `promises.hooks`.
"""

from __future__ import annotations

from ingest.testing.promises.bad_data import BadData
from ingest.testing.promises.batches import Batches
from ingest.testing.promises.customers import Customers
from ingest.testing.promises.meaning import Meaning
from ingest.testing.promises.results import Results
from ingest.testing.promises.signatures import Interface, Signatures

__all__ = ["ConnectorSuite"]


class ConnectorSuite(BadData, Batches, Meaning, Customers, Results, Signatures, Interface):
    """All promises, whose names `touchline connectors test` shows; those of the last base first."""
