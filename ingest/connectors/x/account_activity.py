"""Events in the format of the Account Activity API, version 2 and before.

Source: https://docs.x.com/x-api/account-activity/introduction (events, payloads)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ingest.connectors.x.people import Person, edited, moment, person, text_of, touch, written
from ingest.kit.fields import Fields, derived_id, snake_case

#: Suffix of the name of a list of events.
_LIST = "_events"
#: Act of one user towards another -> type. The company's own acts are kept as `x_<type>`.
RELATIONS = {
    "follow": "account_followed",
    "unfollow": "account_unfollowed",
    "block": "account_blocked",
    "unblock": "account_unblocked",
    "mute": "account_muted",
    "unmute": "account_unmuted",
}
#: Fields with fields of their own in a touchpoint, or that describe people.
_MAPPED = frozenset(
    {
        "id", "id_str", "user", "source", "target", "text", "full_text", "extended_tweet",
        "created_at", "timestamp_ms", "created_timestamp", "message_create", "favorited_status",
        "retweeted_status", "quoted_status", "sender_id", "status",
    }
)  # fmt: skip


def singles(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the body once for each of its events."""
    names = sorted(name for name in body if name.endswith(_LIST) and body[name] is not None)
    head = {name: value for name, value in body.items() if name not in (*names, "user_event")}
    for name in names:
        events = body[name]
        for event in events if isinstance(events, list) else [events]:
            yield {**head, name: [event]}
    if body.get("user_event") is not None:
        yield {**head, "user_event": body["user_event"]}


def has_events(body: dict[str, Any]) -> bool:
    """Return True if this is a body of this format."""
    return "user_event" in body or any(name.endswith(_LIST) for name in body)


def fields(read: Fields, purpose: str) -> dict[str, Any]:
    """Return the fields of the touchpoint of a body with one event.

    `for_user_id` is the company. `purpose`: the consent that a customer withdraws by blocking it.
    """
    if "user_event" in read:
        # A revocation by the company's own account, which the app no longer sees.
        revoked = dict(read.inside("user_event").values())
        return {"event_id": derived_id(revoked), **touch("x_user_event", None)}
    name = next(name for name, _ in read.values() if name.endswith(_LIST))
    company = read.id("for_user_id")
    if company is None:
        read.wrong("for_user_id", "must be text")
    event = read.first(name)
    raw = dict(event.values())
    convert = _CONVERTERS.get(name.removesuffix(_LIST), _unknown)
    found = convert(name.removesuffix(_LIST), event, company, read.aside("users"))
    blocked = found["type"] == RELATIONS["block"]
    return {
        "event_id": event.id("id_str") or event.id("id") or _derived(name, event, raw),
        "occurred_at": moment(event),
        "consent": {purpose: False} if blocked else None,
        **found,
        "properties": {
            **{key: value for key, value in raw.items() if key not in _MAPPED},
            "for_user_id": company,
            **found.get("properties", {}),
        },
    }


def _derived(name: str, event: Fields, raw: dict[str, Any]) -> str:
    """Return an id of what happened between whom and when: descriptions of users change."""
    people: dict[str, Any] = {
        part: person(event.inside(part)).id for part in ("source", "target") if part in raw
    }
    rest = {key: value for key, value in raw.items() if key not in ("source", "user")}
    if "source" in raw:
        rest.pop("target", None)
    return derived_id({"list": name, **rest, **people})


def _post(name: str, post: Fields, company: str | None, users: Fields) -> dict[str, Any]:
    """Return the touch of a post by a customer about the company, or by it to a customer."""
    author = person(post.inside("user"))
    shared, quoted = post.inside("retweeted_status"), post.inside("quoted_status")
    replied = Person(
        post.id("in_reply_to_user_id_str") or post.id("in_reply_to_user_id"),
        post.text("in_reply_to_screen_name"),
    )
    text = text_of(post.inside("extended_tweet"), "full_text") or text_of(post, "full_text", "text")
    told = {**written(text), **_where(post, text)}
    if author.id == company:
        done = _our_post(replied, shared, quoted, company)
        return {**done, "type": edited(done["type"], post), **told}
    if _authors(shared, company):
        kind = "post_shared"
    elif replied.id == company and (
        "in_reply_to_status_id" in post or "in_reply_to_status_id_str" in post
    ):
        kind = "comment_received"
    elif _authors(quoted, company):
        kind = "post_quoted"
    else:
        kind = "mention_received" if "retweeted_status" not in post else "x_repost"
    return {**touch(edited(kind, post), author), **told}


def _our_post(
    replied: Person, shared: Fields, quoted: Fields, company: str | None
) -> dict[str, Any]:
    if replied.id not in (None, company):
        return touch("comment_sent", replied, ours=True)
    for kind, post in (("x_repost", shared), ("x_quote", quoted)):
        whose = person(post.inside("user"))
        if whose.id not in (None, company):
            return touch(kind, whose, ours=True)
    return touch("x_post", None, ours=True)


def _authors(post: Fields, company: str | None) -> bool:
    """Return True if a post that was shared or quoted is the company's, or quotes it."""
    if "user" not in post:
        return False
    return person(post.inside("user")).id == company or _authors(
        post.inside("quoted_status"), company
    )


def _where(post: Fields, text: str | None) -> dict[str, Any]:
    number = post.id("id_str") or post.id("id")
    return {
        "url": f"https://x.com/i/web/status/{number}" if number else None,
        "properties": {"post_id": number, **({"text": text} if text else {})},
    }


def _like(name: str, event: Fields, company: str | None, users: Fields) -> dict[str, Any]:
    post = event.inside("favorited_status")
    liker, author = person(event.inside("user")), person(post.inside("user"))
    text = text_of(post, "full_text", "text")
    ours = liker.id == company
    done = touch("x_like", author, ours=True) if ours else touch("post_liked", liker)
    return {**done, **_where(post, text)}


def _relation(name: str, event: Fields, company: str | None, users: Fields) -> dict[str, Any]:
    done = event.text("type") or name
    source, target = person(event.inside("source")), person(event.inside("target"))
    if source.id == company:
        return touch(f"x_{snake_case(done)}", target, ours=True)
    return touch(RELATIONS.get(done) or f"x_{snake_case(done)}", source)


def _message(name: str, event: Fields, company: str | None, users: Fields) -> dict[str, Any]:
    message = event.inside("message_create")
    data = message.inside("message_data")
    receiver = message.inside("target").id("recipient_id")
    sender = message.id("sender_id")
    ours = sender == company
    kind = event.text("type") or ""
    if kind == "message_create":
        done = "message_sent" if ours else "message_received"
    else:
        done = f"x_direct_message_{snake_case(kind)}"
    text = text_of(data, "text")
    content = {key: value for key, value in data.values() if key != "text"}
    app = message.id("source_app_id")
    return {
        **touch(done, _known(receiver if ours else sender, users), ours=ours),
        **written(text),
        "properties": {
            **content,
            **({"text": text} if text else {}),
            **({"source_app_id": app} if app else {}),
        },
    }


def _sign(name: str, event: Fields, company: str | None, users: Fields) -> dict[str, Any]:
    """Return the touch of somebody who types, or has read a message."""
    sender = event.id("sender_id")
    ours = sender == company
    kind = "message_read" if name == "direct_message_mark_read" and not ours else f"x_{name}"
    whom = event.inside("target").id("recipient_id") if ours else sender
    return touch(kind, _known(whom, users), ours=ours)


def _deletion(name: str, event: Fields, company: str | None, users: Fields) -> dict[str, Any]:
    status = event.inside("status")
    author, number = status.id("user_id"), status.id("id")
    whose = Person(author) if author != company else None
    return {
        **touch("post_removed", whose),
        "event_id": f"{number}:removed" if number else derived_id(dict(event.values())),
        "properties": {"post_id": number},
    }


def _unknown(name: str, event: Fields, company: str | None, users: Fields) -> dict[str, Any]:
    """Return the touch of an unknown list: of the first user in it that is not the company."""
    found = [person(event.inside(part)) for part in ("source", "user", "target") if part in event]
    found.append(_known(event.id("sender_id"), users))
    customer = next((one for one in found if one.id not in (None, company)), None)
    return touch(f"x_{snake_case(name)}", customer)


def _known(number: str | None, users: Fields) -> Person:
    """Return the user with an id that an event names, with what the body says of them."""
    if number is None or number not in users:
        return Person(number)
    return person(users.inside(number))._replace(id=number)


_Convert = Callable[[str, Fields, str | None, Fields], dict[str, Any]]
_CONVERTERS: dict[str, _Convert] = {
    "tweet_create": _post,
    "favorite": _like,
    **dict.fromkeys(RELATIONS, _relation),
    "direct_message": _message,
    "direct_message_indicate_typing": _sign,
    "direct_message_mark_read": _sign,
    "tweet_delete": _deletion,
}
