"""Users of X as the two formats describe them, and which of two is the customer."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, NamedTuple

from ingest.kit.fields import Fields, identifiers, shortened

#: Form of the times in the older format.
_CREATED_AT = "%a %b %d %H:%M:%S %z %Y"
#: Type of a new post -> that of a later version.
_EDITED = {
    "comment_received": "comment_edited",
    "comment_sent": "comment_edited",
    "mention_received": "post_edited",
    "post_quoted": "post_edited",
    "x_quote": "post_edited",
}
#: What X writes in texts and names for characters that mean something in HTML.
_ENTITIES = {"&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&#39;": "'"}
_ENTITY = re.compile("|".join(_ENTITIES))


class Person(NamedTuple):
    """A user: id, handle and name as far as they are told."""

    id: str | None = None
    handle: str | None = None
    name: str | None = None


def person(user: Fields) -> Person:
    """Return the user of a user object of either format; the newer one may stand within `data`."""
    if "data" in user:
        user = user.inside("data")
    return Person(
        user.id("id_str") or user.id("id"),
        user.text("screen_name") or user.text("username"),
        plain(user.peek("name")),
    )


def plain(text: str | None) -> str | None:
    """Return a text with the characters that X writes as entities of HTML.

    Each is decoded once: who writes about `&lt;` has written `&amp;lt;` for X.
    """
    return _ENTITY.sub(lambda entity: _ENTITIES[entity[0]], text) if text else None


def text_of(read: Fields, *names: str) -> str | None:
    """Return the first of these fields that has a text, as its author wrote it."""
    return next(filter(None, (plain(read.text(name)) for name in names)), None)


def touch(kind: str, customer: Person | None, *, ours: bool = False) -> dict[str, Any]:
    """Return the fields for what a customer did, or what the company did to one (`ours`)."""
    who = customer or Person()
    return {
        "type": kind,
        "direction": "outbound" if ours else "inbound",
        "identifiers": identifiers(("x", who.id), ("x", who.handle)),
        "traits": {"name": who.name} if who.name else {},
    }


def written(text: str | None) -> dict[str, Any]:
    """Return the text that somebody wrote, as a subject."""
    return {"subject": shortened(text)} if text else {}


def edited(kind: str, post: Fields) -> str:
    """Return the type of a post that may be a later version of one: it is no new post then.

    Each version comes as a post of its own, with the ids of all versions so far.
    """
    older = post.aside("edit_history").items("edit_tweet_ids")
    newer = Fields(dict(post.values())).items("edit_history_tweet_ids")
    return _EDITED.get(kind, kind) if len(older) > 1 or len(newer) > 1 else kind


def moment(read: Fields) -> datetime | str | None:
    """Return the time: one since 1970, else a date as the older or the newer format has it."""
    for name in ("timestamp_ms", "created_timestamp", "created_at_msec"):
        if name in read:
            return read.instant(name)
    text = read.text("created_at")
    if text is None or text[:1].isdigit():
        return text
    try:
        return datetime.strptime(text, _CREATED_AT).astimezone(UTC)
    except (ValueError, OverflowError):
        read.wrong("created_at", "must be a time, for instance Mon Mar 26 16:33:26 +0000 2018")
        return None
