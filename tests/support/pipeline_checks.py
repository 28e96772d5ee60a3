"""Checks of an in-memory pipeline that has come to rest: all it shows against the references."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from itertools import pairwise
from typing import Any

from schemas import messages, topics, touchpoint_row
from schemas.identifiers import Identifier, identifier_id
from schemas.messages import LinkRequest
from schemas.times import parse_ms
from schemas.touchpoint_row import TouchpointRow
from tests.support import profile_reference
from tests.support.identity_reference import Reference
from tests.support.pipeline import Pipeline

CAUSES = ("event", "time", "identity", "definition")


def reference_of(pipeline: Pipeline, untrusted: Iterable[str] = ()) -> Reference:
    """Return the reference with the log of links, as far as it goes."""
    reference = Reference(pipeline.policy, untrusted)
    for record in pipeline.logs.get((topics.LINK_REQUESTS.name, 0), ()):
        reference.take(messages.decode_link(record.value), record.timestamp_ms)
    return reference


def touches_of(pipeline: Pipeline) -> list[TouchpointRow]:
    """All touches that came in, repeated ones too, in the order of each partition."""
    return [
        touchpoint_row.decode(record.value)
        for (topic, _), log in pipeline.logs.items()
        if topic == topics.TOUCHPOINTS.name
        for record in log
    ]


def check(pipeline: Pipeline, untrusted: Iterable[str] = (), *, answered: bool = True) -> None:
    """Compare a pipeline that has come to rest with the references.

    `answered`: every touch reached its home when that knew what was decided before, and its
    memory lasted until the answer. Otherwise an open link may wait for the touch after it.
    """
    reference, touches = reference_of(pipeline, untrusted), touches_of(pipeline)
    who = who_is_who(reference, touches)
    check_people(pipeline, reference, who)
    check_nothing_is_left_open(reference, touches, answered=answered)
    check_profiles(pipeline, touches, who)
    check_changes(pipeline)
    check_ids(pipeline)


def who_is_who(reference: Reference, touches: Iterable[TouchpointRow]) -> dict[Identifier, str]:
    """Every identifier that came in or was asked about -> its profile's id."""
    who = {
        Identifier(kind, value): identifier_id(kind, value)
        for touch in touches
        for kind, values in touch.identifiers.items()
        for value in values
    }
    return who | {one: identifier_id(*two) for one, two in reference.profiles().items()}


def same(what: str, found: Any, wanted: Any) -> None:
    """Fail with nothing but the differences."""
    if found == wanted:
        return
    if isinstance(found, dict) and isinstance(wanted, dict):
        keys = [k for k in found.keys() | wanted.keys() if found.get(k) != wanted.get(k)]
        lines = [f"  {k}: is {found.get(k)}, not {wanted.get(k)}" for k in sorted(keys, key=repr)]
    else:
        lines = [f"  also {sorted(found - wanted)}, not {sorted(wanted - found)}"]
    raise AssertionError("\n".join([f"{what}:", *lines]))


def check_people(pipeline: Pipeline, reference: Reference, who: dict[Identifier, str]) -> None:
    """Check to whom every identifier belongs, and the standing of every link."""
    owner = {identifier_id(*one): ":".join(one) for one in who}
    found = {":".join(one): owner.get(p, p) for one, p in pipeline.identities().items()}
    same("whose it is", found, {":".join(one): owner[profile] for one, profile in who.items()})
    said = {
        f"{key[0]}:{key[1]} - {key[2]}:{key[3]}": (row["verdict"], row["reason"])
        for key, row in pipeline.verdicts().items()
    }
    wanted = {
        f"{':'.join(lead)} - {':'.join(other)}": tuple(link.verdict)
        for (lead, other), link in reference.links.items()
    }
    same("what stands of the link", said, wanted)
    conflicts = {
        (row["lead_value"], row["value"], row["reason"]): (
            owner[row["other_profile_id"]],
            owner[row["profile_id"]],
        )
        for row in pipeline.conflicts().values()
    }
    refused = {
        (lead.value, other.value, reason): (":".join(first), ":".join(second))
        for (lead, other, reason), (first, second) in reference.conflicts.items()
    }
    same("conflict", conflicts, refused)


def check_nothing_is_left_open(
    reference: Reference, touches: Iterable[TouchpointRow], *, answered: bool
) -> None:
    """Every link that a touch names was asked for, anew where that touch may open it again."""
    for touch in profile_reference.distinct(touches):
        lead, received = Identifier(touch.lead_kind, touch.lead_value), parse_ms(touch.received_at)
        for kind, values in touch.identifiers.items():
            for other in (Identifier(kind, value) for value in values):
                link = reference.links.get((lead, other))
                named = f"{':'.join(lead)} - {':'.join(other)} by touch {touch.event_id}"
                assert other == lead or link is not None, f"never asked: {named}"
                if answered and link is not None:
                    assert not link.open_to(touch.source, received), f"left open: {named}"


def check_profiles(
    pipeline: Pipeline, touches: list[TouchpointRow], who: dict[Identifier, str]
) -> None:
    """Everything that is derived from touches, given who is who."""
    wanted = profile_reference.profiles(touches, who, pipeline.policy, pipeline.now_ms)
    rows = pipeline.profiles()
    for key in rows.keys() | wanted.keys():
        found = _comparable(rows[key]) if key in rows else {}
        same(f"profile {key}", found, wanted.get(key, {}))
    members = {(segment, key) for key, row in wanted.items() for segment in row["segments"]}
    same("members", pipeline.members(), members)
    events = profile_reference.distinct(touches)
    kept = {(event.source, event.event_id, event.lead_id) for event in events}
    same("touchpoints", set(pipeline.touchpoints()), kept)
    # Nothing is counted twice: neither across profiles nor in the hours.
    assert sum(row["touchpoints"] for row in rows.values()) == len(events)
    same("engagement", pipeline.engagement(), profile_reference.engagement(touches))


def _comparable(row: dict[str, Any]) -> dict[str, Any]:
    same = (
        "customer_id", "email", "phone", "traits", "consent", "first_seen_at", "last_seen_at",
        "touchpoints", "channels", "orders", "segments",
    )  # fmt: skip
    revenue = {currency: Decimal(amount) for currency, amount in row["revenue"].items()}
    return {name: row[name] for name in same} | {"revenue": revenue}


def check_changes(pipeline: Pipeline) -> None:
    """Entries and exits take turns, each with its cause, and add up to the members."""
    inside = set()
    for (segment, profile), changes in pipeline.changes().items():
        kinds = [change["change"] for change in changes]
        assert kinds[0] == "entered", (segment, profile, kinds)
        assert all(a != b for a, b in pairwise(kinds)), (segment, profile, kinds)
        assert {change["cause"] for change in changes} <= set(CAUSES)
        if kinds[-1] == "entered":
            inside.add((segment, profile))
    same("members by their changes", inside, pipeline.members())
    # Published once more, a change says the same.
    said: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in pipeline.published(topics.SEGMENT_CHANGES.name):
        at = (row["segment"], row["profile_id"], row["version"])
        assert said.setdefault(at, row) == row


def check_ids(pipeline: Pipeline) -> None:
    """Every id that was ever a profile's is an identifier's own, and so resolves for ever."""
    own = {identifier_id(*one) for one in pipeline.identities()}
    used = {
        row[column]
        for topic in (topics.PROFILES, topics.SEGMENT_CHANGES, topics.IDENTITIES, topics.CONFLICTS)
        for row in pipeline.published(topic.name)
        for column in ("profile_id", "other_profile_id")
        if column in row
    }
    same("ids that are nobody's own", used - own, set())


def log_of_links(pipeline: Pipeline) -> list[str]:
    """The log of links, readable: what a failure's note shows."""
    lines = []
    for record in pipeline.logs.get((topics.LINK_REQUESTS.name, 0), ()):
        message = messages.decode_link(record.value)
        lead, other = f"{message.lead_kind}:{message.lead_value}", f"{message.kind}:{message.value}"
        if isinstance(message, LinkRequest):
            said = f"{lead} - {other} by {message.source}"
        else:
            about = other if lead == ":" else f"{lead} - {other}"
            said = f"{'lift' if message.lift else 'split'} {about} {message.source}".rstrip()
        lines.append(f"{record.offset}: {said}")
    return lines
