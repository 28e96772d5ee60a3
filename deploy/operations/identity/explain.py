"""The explanation of one person: the links between its identifiers, and the refused ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from deploy.operations.identity.chains import chain, spanning_tree
from deploy.operations.identity.log import IdentityLog, Link
from schemas.identifiers import Identifier, IdentityPolicy

#: Limits of the identifiers, links and splits that are read. A kiosk may have thousands of links.
MOST_IDENTIFIERS = 500
MOST_LINKS = 2_000
MOST_SPLITS = 200


@dataclass(frozen=True, slots=True)
class Nobody:
    """The reason for which a browser or device belongs to nobody.

    `reason`: "several" (linked with more than one person), "room" (linked with a person who has
    reached the limit of its kind), "split" (split from a person), "alone" (never linked with a
    person).
    """

    reason: str
    #: Profile -> one link with that person.
    people: dict[str, Link]


@dataclass(frozen=True, slots=True)
class Explanation:
    """All known reasons for which a profile has these identifiers, and no others."""

    profile_id: str
    asked: Identifier
    #: The strongest first: the profile has its id.
    identifiers: list[Identifier]
    #: Identifier -> the link that ties it towards the strongest.
    towards: dict[Identifier, Link]
    #: Further links that hold between these identifiers.
    further: list[Link]
    #: Links that hold with a follower that is not part of the profile.
    outside: list[Link]
    refused: list[Link]
    #: Links undone by splits that are listed in `splits`.
    voided: list[Link]
    #: Links that the next touch that names both ends decides anew.
    withdrawn: list[Link]
    #: Rows of the view `identity_splits`, the oldest first.
    splits: list[dict[str, Any]]
    #: Present profile of each identifier that the links name.
    profiles: dict[Identifier, str]
    #: Set if the profile is that of a follower without a person.
    nobody: Nobody | None
    #: False if a limit was reached.
    complete: bool

    def unexplained(self) -> list[Identifier]:
        """Return members that no link ties to the strongest: decided before links were recorded."""
        return [one for one in self.identifiers[1:] if one not in self.towards]

    def as_dict(self) -> dict[str, Any]:
        """Return the document for `--json`."""
        return {
            "profile_id": self.profile_id,
            "asked": self.asked._asdict(),
            "identifiers": [
                one._asdict() | {"chain": [self._link(link) for link in chain(one, self.towards)]}
                for one in self.identifiers
            ],
            **{
                name: [self._link(link) for link in getattr(self, name)]
                for name in ("further", "outside", "refused", "voided", "withdrawn")
            },
            "splits": self.splits,
            "nobody": self.nobody
            and {
                "reason": self.nobody.reason,
                "people": {who: self._link(link) for who, link in self.nobody.people.items()},
            },
            "complete": self.complete,
        }

    def _link(self, link: Link) -> dict[str, Any]:
        ends = {
            name: one._asdict() | {"profile_id": self.profiles.get(one)}
            for name, one in (("lead", link.lead), ("other", link.other))
        }
        return asdict(link) | ends


def explain(log: IdentityLog, policy: IdentityPolicy, identifier: Identifier) -> Explanation | None:
    """Return the explanation of an identifier in normal form; None if it was never seen.

    Raises `sinks.clickhouse.client.ClickHouseError`.
    """
    profile_id = log.profiles([identifier]).get(identifier)
    if profile_id is None:
        return None
    found = {*log.members(profile_id, MOST_IDENTIFIERS - 1), identifier}
    members = sorted(found, key=policy.strength)
    links = log.links(members, MOST_LINKS)
    splits = log.splits(members, MOST_SPLITS)
    own = set(members)
    profiles = dict.fromkeys(members, profile_id) | log.profiles(_ends(links) - own)
    holding = _of(links, "holds")
    inside = [link for link in holding if link.lead in own and link.other in own]
    outside = [link for link in holding if link.lead not in own or link.other not in own]
    towards = spanning_tree(members, inside, lambda kind: policy.kind(kind).joins)
    ties = set(towards.values())
    nobody = None
    if not policy.kind(members[0].kind).joins:
        nobody = _nobody(members, outside, profiles, policy, splits)
    return Explanation(
        profile_id=profile_id,
        asked=identifier,
        identifiers=members,
        towards=towards,
        further=[link for link in inside if link not in ties],
        outside=outside,
        refused=_of(links, "refused"),
        voided=_of(links, "voided"),
        withdrawn=_of(links, "withdrawn"),
        splits=splits,
        profiles=profiles,
        nobody=nobody,
        complete=len(members) < MOST_IDENTIFIERS
        and len(links) < MOST_LINKS
        and len(splits) < MOST_SPLITS,
    )


def _nobody(
    members: Sequence[Identifier],
    outside: Sequence[Link],
    profiles: dict[Identifier, str],
    policy: IdentityPolicy,
    splits: Iterable[dict[str, Any]],
) -> Nobody:
    people: dict[str, Link] = {}
    for link in outside:
        other = link.other if link.lead in members else link.lead
        if policy.kind(other.kind).joins and other in profiles:
            people.setdefault(profiles[other], link)
    if len(people) > 1:
        reason = "several"
    elif any(split["stands"] for split in splits):
        reason = "split"
    else:
        reason = "room" if people else "alone"
    return Nobody(reason, people)


def _of(links: Iterable[Link], state: str) -> list[Link]:
    return [link for link in links if link.state == state]


def _ends(links: Iterable[Link]) -> set[Identifier]:
    return {one for link in links for one in (link.lead, link.other)}
