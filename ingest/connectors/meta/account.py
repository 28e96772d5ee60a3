"""The company's account that an entry of a request is about."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

#: Object of a request -> the kind of identifier under which customers are known there.
KINDS = {"page": "facebook", "instagram": "instagram", "whatsapp_business_account": "whatsapp"}


class Account(NamedTuple):
    """A page, an Instagram account or a WhatsApp account of the company.

    `kind` is the kind of its customers' ids, which belong to the account: the same person has
    another id at another page. `id` is never an identifier. `time`: when Meta noticed the change.
    `purpose`: the consent that messages of the company need.
    """

    kind: str
    id: str
    time: datetime | None
    purpose: str
