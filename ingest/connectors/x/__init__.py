"""X: mentions, replies, likes, follows and direct messages around the company's account.

X brings events in two formats: that of the Account Activity API (`account_activity.py`) and that of
the X Activity API, which takes its place (`activity.py`). See docs/channels/x.md.
"""

from ingest.connectors.x.connector import SIGNATURE, X, XOptions

__all__ = ["SIGNATURE", "X", "XOptions"]
