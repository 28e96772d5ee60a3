"""Addresses of callers and writers, and the company's own."""

from __future__ import annotations

import re
from typing import NamedTuple

from ingest.kit.fields import Fields
from schemas.phone_numbers import phone_number

#: Prefix of an address -> the network. Without one it is a phone number.
_NETWORKS = {"whatsapp": "whatsapp", "messenger": "messenger", "rcs": "", "tel": ""}
_DIGITS = re.compile(r"\+?\d+", re.ASCII)
#: Numbers that Twilio shows for a withheld number: words on a keypad (ANONYMOUS, RESTRICTED,
#: BLOCKED, UNKNOWN, UNAVAILABLE).
_WITHHELD = frozenset({"+266696687", "+7378742833", "+2562533", "+8656696", "+86282452253"})


class Address(NamedTuple):
    """An address: the network that it belongs to, and the number or id there.

    The network is "" for phone numbers (also those of SMS and RCS) and None where an address names
    no customer: `client:`, `sip:` and a sender's name.
    """

    network: str | None
    id: str

    @classmethod
    def of(cls, text: str | None) -> Address:
        """Parse an address."""
        prefix, colon, rest = (text or "").strip().rpartition(":")
        network = _NETWORKS.get(prefix) if colon else ""
        found = rest.strip()
        if network == "" and not found.startswith("+"):
            network = None
        return cls(None if found in _WITHHELD or not found else network, found)

    @property
    def is_app(self) -> bool:
        """True for a network of messages that is no telephone network."""
        return bool(self.network)

    def identifiers(self) -> list[tuple[str, str | None]]:
        """Return the identifiers that the address is; WhatsApp has numbers and ids of its own."""
        if self.network is None:
            return []
        if self.network == "messenger":
            return [("facebook", self.id)]
        if _DIGITS.fullmatch(self.id):
            return [("phone", f"+{self.id.removeprefix('+')}")]
        return [("whatsapp", self.id)] if self.network == "whatsapp" else [("phone", self.id)]


class Company(NamedTuple):
    """The company's side: its own addresses, and the purpose of the messages that it writes."""

    own: frozenset[str]
    purpose: str

    @classmethod
    def of(cls, numbers: tuple[str, ...], purpose: str) -> Company:
        """Return the company with these numbers, or addresses, of its own."""
        return cls(frozenset(map(_plain, numbers)), purpose)

    def owns(self, address: str) -> bool:
        """Return True if an address is the company's."""
        return _plain(address) in self.own

    def customer(
        self, read: Fields, theirs: str, ours: str | None
    ) -> tuple[Address, list[tuple[str, str | None]]]:
        """Return the customer's address, which is in the field `theirs`, and their identifiers.

        There are none if it is an address of the company, also the one that is in `ours`.
        """
        text, other = read.text(theirs) or "", read.peek(ours) if ours else None
        address = Address.of(text)
        if self.owns(text) or (other is not None and _plain(text) == _plain(other)):
            return address, []
        found = address.identifiers()
        if address.network == "whatsapp":
            found += _known_to_whatsapp(read, found)
        return address, found


def _known_to_whatsapp(
    read: Fields, found: list[tuple[str, str | None]]
) -> list[tuple[str, str | None]]:
    """Return what other fields tell of a customer: the number, and the id at this company."""
    number = read.peek("WaId") or ""
    kinds = {kind for kind, _ in found}
    return [
        ("whatsapp", read.peek("ExternalUserId")),
        ("phone", f"+{number}" if "phone" not in kinds and number.isdecimal() else None),
    ]


def _plain(address: str) -> str:
    """Return an address without its network, a number in normal form."""
    text = address.strip()
    found = Address.of(text)
    return phone_number(found.id, None) or text
