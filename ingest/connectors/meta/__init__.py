"""Meta: comments, mentions and messages on Facebook, Instagram and WhatsApp.

A request holds entries, one for each account of the company; an entry holds messaging events
(`messaging.py`), changes of a page or of an Instagram account (`changes.py`), or those of a
WhatsApp account (`whatsapp.py`). See docs/channels/meta.md.
"""

from ingest.connectors.meta.connector import SIGNATURE, Meta, MetaOptions

__all__ = ["SIGNATURE", "Meta", "MetaOptions"]
