"""Identifiers: their kinds, their normal form and their order of strength.

An identifier is (kind, value). The value is brought to one normal form at the edge, so that the
same mailbox or phone number written in two ways is one identifier everywhere behind it. A value
that cannot be of its kind, or that is no identity at all ("null", "guest", "000-000"), is dropped.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import NamedTuple

from schemas.email_addresses import email_address
from schemas.phone_numbers import phone_number

#: The id that stands for no person.
NOBODY = str(uuid.UUID(int=0))
#: Namespace of all identifier ids. It never changes: profile ids are derived from it.
NAMESPACE = uuid.UUID("6f1d3b1e-6a0c-5b52-9b0a-4b8f4f6f2a11")
MAX_VALUE_LENGTH = 512
_KIND = re.compile(r"[a-z][a-z0-9_]{0,39}")


class Identifier(NamedTuple):
    """A kind and a value in normal form."""

    kind: str
    value: str


@lru_cache(maxsize=65_536)
def identifier_id(kind: str, value: str) -> str:
    """Return the identifier's own id: uuid5 of "kind:value", as text."""
    # Same as `uuid.uuid5` (RFC 9562), without an intermediate object: a third of the time.
    name = f"{kind}:{value}".encode()
    raw = bytearray(hashlib.sha1(NAMESPACE.bytes + name, usedforsecurity=False).digest()[:16])
    raw[6] = raw[6] & 0x0F | 0x50
    raw[8] = raw[8] & 0x3F | 0x80
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


@dataclass(frozen=True, slots=True)
class KindPolicy:
    """The rules by which identifiers of one kind tie touches to people.

    `strength`: smaller is stronger. `joins`: True if a link to it unites two people; a kind that
    does not join follows the person it was seen with. `limit`: the number of identifiers of the
    kind that one profile holds. `unique`: two of them are never the same person.
    """

    name: str
    strength: int
    joins: bool = True
    unique: bool = False
    limit: int = 5


BUILT_IN_KINDS = (
    KindPolicy("customer_id", 10, unique=True, limit=1),
    KindPolicy("loyalty_id", 20, unique=True, limit=1),
    KindPolicy("email", 30),
    KindPolicy("phone", 40),
    KindPolicy("line", 50),
    KindPolicy("facebook", 60),
    KindPolicy("instagram", 70),
    KindPolicy("x", 80),
    KindPolicy("device_id", 900, joins=False, limit=20),
    KindPolicy("anonymous_id", 910, joins=False, limit=100),
)
#: Strength of kinds that a plug-in brings: weaker than the built-in ones that join, ordered by
#: name.
PLUG_IN_STRENGTH = 500

BLOCKED_VALUES = frozenset(
    {
        "", "null", "undefined", "none", "nan", "anonymous", "guest", "unknown",
        "-1", "0", "[object object]",
    }
)  # fmt: skip
_ZEROS = re.compile(r"[\W_]*0[\W_0]*")
_NO_REPLY = re.compile(r"(no|do[-_.]?not)[-_.]?reply@.*")


@dataclass(frozen=True)
class IdentityPolicy:
    """The policy of a deployment: its kinds, its limits and its blocked values."""

    kinds: Mapping[str, KindPolicy] = field(
        default_factory=lambda: {kind.name: kind for kind in BUILT_IN_KINDS}
    )
    blocked: frozenset[str] = BLOCKED_VALUES
    #: One identifier joins at most this many people within 24 hours.
    joins_per_day: int = 20

    def kind(self, name: str) -> KindPolicy:
        """Return the policy of a kind; an unlisted kind is a plug-in's, with a limit of 5.

        An unlisted kind joins, unless a stronger kind follows.
        """
        return self.kinds.get(name) or KindPolicy(name, PLUG_IN_STRENGTH, self._plug_ins_join)

    @cached_property
    def _plug_ins_join(self) -> bool:
        return all(k.joins or k.strength > PLUG_IN_STRENGTH for k in self.kinds.values())

    @cached_property
    def _weakest_that_follows(self) -> tuple[int, str]:
        return max(
            ((k.strength, k.name) for k in self.kinds.values() if not k.joins), default=(0, "")
        )

    def leads_followers(self, name: str) -> bool:
        """Return True if a weaker kind than this one follows."""
        return (self.kind(name).strength, name) < self._weakest_that_follows

    def with_kinds(self, overrides: Mapping[str, Mapping[str, object]]) -> IdentityPolicy:
        """Return this policy with single settings of kinds replaced.

        Raises ValueError when a setting is unknown or a kind that follows would be stronger than
        one that joins.
        """
        kinds = dict(self.kinds)
        for name, changes in overrides.items():
            unknown = set(changes) - {"strength", "joins", "unique", "limit"}
            if unknown:
                raise ValueError(f"identity kind {name!r} has no setting {sorted(unknown)[0]!r}")
            kinds[name] = replace(self.kind(name), **changes)  # type: ignore[arg-type]
        joining = [kind for kind in kinds.values() if kind.joins]
        weakest = max(joining, key=lambda kind: kind.strength)
        for kind in kinds.values():
            if not kind.joins and kind.strength < weakest.strength:
                raise ValueError(
                    f"identity kind {kind.name!r} does not join people, so it must be weaker than "
                    f"every kind that does; {weakest.name!r} is weaker"
                )
        return replace(self, kinds=kinds)

    def strength(self, identifier: Identifier) -> tuple[int, str, bytes]:
        """Return a sort key, the smallest for the strongest; ties within a kind go by the bytes."""
        kind = identifier.kind
        return self.kind(kind).strength, kind, identifier.value.encode()

    def split_from(self, one: Identifier, mates: Iterable[Identifier]) -> list[Identifier]:
        """Return the identifiers of the same person from which a split separates this identifier.

        Followers of weaker kinds are left out: their host is determined anew, so that an e-mail
        address keeps the browsers that were seen only with it. If there are no others, they are
        returned.
        """
        rest = [mate for mate in mates if mate != one]
        kind = self.strength(one)[:2]
        return [m for m in rest if self.kind(m.kind).joins or self.strength(m)[:2] <= kind] or rest

    def is_blocked(self, value: str) -> bool:
        """Return True if a value is a placeholder and no identity."""
        return _is_blocked(value, self.blocked)

    def normalize(self, kind: str, value: str, region: str | None) -> Identifier | None:
        """Return the identifier in normal form, or None if it cannot be one.

        `region` (ISO 3166, for instance "JP") reads phone numbers written without a country code.
        """
        if len(value) > MAX_VALUE_LENGTH:
            return None
        return _identifier(kind, value, region, self.blocked)

    def normalize_all(
        self, identifiers: Iterable[tuple[str, str]], region: str | None
    ) -> list[Identifier]:
        """Return all valid identifiers, without repetition, the strongest (the lead) first."""
        normal = {self.normalize(kind, value, region) for kind, value in identifiers}
        found = [identifier for identifier in normal if identifier is not None]
        if len(found) > 1:
            found.sort(key=self.strength)
        return found


def _is_blocked(value: str, blocked: frozenset[str]) -> bool:
    folded = unicodedata.normalize("NFKC", value).strip().casefold()
    return (
        folded in blocked
        or _ZEROS.fullmatch(folded) is not None
        or _NO_REPLY.fullmatch(folded) is not None
    )


@lru_cache(maxsize=65_536)
def _identifier(
    kind: str, value: str, region: str | None, blocked: frozenset[str]
) -> Identifier | None:
    """Implement `IdentityPolicy.normalize`; cached, as the same customers come repeatedly."""
    if not _KIND.fullmatch(kind) or _is_blocked(value, blocked):
        return None
    normal = _normal(kind, value, region)
    if normal is None or _is_blocked(normal, blocked):
        return None
    return Identifier(kind, normal)


def _normal(kind: str, value: str, region: str | None) -> str | None:
    if kind == "email":
        return email_address(value)
    if kind == "phone":
        return phone_number(value, region)
    text = unicodedata.normalize("NFC", value).strip()
    if kind in ("x", "instagram"):
        text = text.removeprefix("@").lower()
    return text or None
