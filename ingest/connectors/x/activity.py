"""Events in the format of the X Activity API: one event in an envelope.

Source: https://docs.x.com/x-api/activity/introduction (event types) and
https://docs.x.com/x-api/activity/event-payloads
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ingest.connectors.x.account_activity import RELATIONS
from ingest.connectors.x.people import Person, edited, moment, person, text_of, touch, written
from ingest.kit.fields import Fields, derived_id, snake_case

#: Id -> user, for the users that come with an event.
People = dict[str, Person]
#: Event -> type, where the customer is the author.
POSTS = {
    "post.mention.create": "mention_received",
    "post.reply.create": "comment_received",
    "post.quote.create": "post_quoted",
    "post.repost.create": "post_shared",
    "post.delete": "post_removed",
    "broadcast.chat": "comment_received",
}
#: Event -> type of a customer's like, and of the company's own.
LIKES = {"like.create": ("post_liked", "x_like")}
#: Relation of a post to another -> type, if the company makes it.
_OUR_POSTS = {"replied_to": "comment_sent", "retweeted": "x_repost", "quoted": "x_quote"}
#: Fields with fields of their own, that describe people, or that are encrypted, with their keys.
_MAPPED = frozenset(
    {
        "id", "text", "note_tweet", "message", "author", "source", "target", "user", "created_at",
        "timestamp_ms",
        "created_at_msec", "conversation_token", "encoded_event", "conversation_key_change_event",
        "message_event_signature",
    }
)  # fmt: skip


def fields(read: Fields, purpose: str) -> dict[str, Any]:
    """Return the fields of the touchpoint of a body with one event.

    `filter.user_id` is the company. `purpose`: the consent that a customer withdraws by blocking
    it.
    """
    data = read.inside("data")
    name = data.text("event_type") or ""
    if not snake_case(name):
        data.wrong("event_type", "must be text, for instance post.mention.create")
    payload = data.inside("payload")
    company = data.inside("filter").id("user_id")
    found = _found(name, payload, company, _people(data))
    text = text_of(payload.inside("note_tweet"), "text") or text_of(payload, "text", "message")
    post = payload.id("id") if name.startswith("post.") else payload.id("liked_tweet_id")
    own = {key: value for key, value in payload.values() if key not in _MAPPED}
    return {
        "event_id": data.id("event_uuid") or derived_id(dict(data.values())),
        # Of a like, `created_at` is the time of the post that was liked.
        "occurred_at": moment(payload) if _dated(name, payload) else None,
        "consent": {purpose: False} if found["type"] == RELATIONS["block"] else None,
        **found,
        **written(text),
        "url": f"https://x.com/i/web/status/{post}" if post else None,
        "properties": {
            **own,
            "for_user_id": company,
            **({"post_id": post} if post else {}),
            **({"text": text} if text else {}),
            **({"tag": data.label("tag")} if "tag" in data else {}),
        },
    }


def _dated(name: str, payload: Fields) -> bool:
    return not name.startswith("like.") or "timestamp_ms" in payload


def _found(name: str, payload: Fields, company: str | None, people: People) -> dict[str, Any]:
    """Return what happened, and between whom. If no company is named nobody is the customer."""
    if company is None:
        return touch(f"x_{snake_case(name)}", None)
    return _CONVERTERS.get(name.partition(".")[0], _post)(name, payload, company, people)


def _post(name: str, payload: Fields, company: str, people: People) -> dict[str, Any]:
    """Return the touch of a post, or of anything else that has an author."""
    author = _author(payload, people)
    if author.id != company:
        return touch(edited(POSTS.get(name) or f"x_{snake_case(name)}", payload), author)
    # For a post of the company the customer is the one whom it answers.
    related = next(iter(payload.objects("referenced_tweets")), {})
    made = _OUR_POSTS.get(str(related.get("type"))) if name == "post.create" else None
    kind = edited(made or f"x_{snake_case(name)}", payload)
    number = payload.id("in_reply_to_user_id")
    return touch(kind, _by_id(number if number != company else None, people), ours=True)


def _author(payload: Fields, people: People) -> Person:
    """Return the author: described within the event, or by an id."""
    for part in ("author", "user"):
        if part in payload:
            return person(payload.inside(part))
    number = next(
        (payload.id(name) for name in ("author_id", "sender_id") if name in payload), None
    )
    return _by_id(number, people)


def _by_id(number: str | None, people: People) -> Person:
    return people.get(number or "", Person(number))


def _like(name: str, payload: Fields, company: str, people: People) -> dict[str, Any]:
    """Return the touch of a like.

    X names the author of what was liked, but only the profile of who liked the company's post.
    """
    author = payload.id("liked_tweet_author_id")
    theirs, ours = LIKES.get(name) or (f"x_{snake_case(name)}",) * 2
    if author not in (None, company):
        return touch(ours, _by_id(author, people), ours=True)
    others = [one for one in people.values() if one.id != company]
    return touch(theirs, others[0] if len(others) == 1 else None)


def _relation(name: str, payload: Fields, company: str, people: People) -> dict[str, Any]:
    done = name.partition(".")[2]
    source, target = person(payload.inside("source")), person(payload.inside("target"))
    if source.id == company:
        return touch(f"x_{snake_case(done)}", target, ours=True)
    return touch(RELATIONS.get(done) or f"x_{snake_case(name)}", source)


def _chat(name: str, payload: Fields, company: str, people: People) -> dict[str, Any]:
    """Return the touch of an encrypted message; one to a group has no single receiver."""
    sender = payload.id("sender_id")
    if sender != company:
        kind = "message_received" if name == "chat.received" else f"x_{snake_case(name)}"
        return touch(kind, Person(sender))
    both = (payload.text("conversation_id") or "").split(":")
    others = [one for one in both if one != company]
    receiver = Person(others[0]) if len(both) == 2 and len(others) == 1 else None
    kind = "message_sent" if name == "chat.sent" else f"x_{snake_case(name)}"
    return touch(kind, receiver, ours=True)


def _people(data: Fields) -> People:
    """Return the users beside an event, which help to name its people and cost no event."""
    users = [person(Fields(user)) for user in data.aside("includes").objects("users")]
    return {user.id: user for user in users if user.id is not None}


_Convert = Callable[[str, Fields, str, People], dict[str, Any]]
#: Group of events -> its converter; others have an author, as posts do.
_CONVERTERS: dict[str, _Convert] = {
    "like": _like,
    **dict.fromkeys(("follow", "mute", "block"), _relation),
    "chat": _chat,
}
