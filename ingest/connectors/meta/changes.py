"""Changes of a Facebook page or an Instagram account: comments, mentions, posts, reactions, leads.

Source: https://developers.facebook.com/docs/graph-api/webhooks/reference/page (feed, mention,
ratings, leadgen), https://developers.facebook.com/docs/graph-api/webhooks/reference/instagram and
https://developers.facebook.com/documentation/instagram-platform/webhooks/examples
"""

from __future__ import annotations

from typing import Any

from ingest.connectors.meta import messaging
from ingest.connectors.meta.account import Account
from ingest.connectors.meta.advertising import campaign
from ingest.kit.fields import (
    Fields,
    derived_id,
    identifiers,
    snake_case,
    subject,
)

#: Field -> type, for fields whose value does not decide the type.
FIELDS = {
    "comments": "comment_received",
    "live_comments": "comment_received",
    "mentions": "mention_received",
    "mention": "mention_received",
    "ratings": "review_received",
    "leadgen": "form_submitted",
}
#: Items of a page's feed that are posts.
_POSTS = frozenset({"post", "status", "photo", "video", "album", "link", "note", "event"})
#: Spellings of what was done -> the one used in types.
_VERBS = {"edit": "edited", "update": "edited", "delete": "remove"}
#: Verb of a change to a post or comment -> the end of the type.
_DONE = {"add": "received", "edited": "edited", "remove": "removed"}
#: Reactions that say the opposite of a like.
_DISLIKES = frozenset({"sad", "angry"})
_RECOMMENDED = {"positive": 1.0, "negative": -1.0}
#: Fields with fields of their own in a touchpoint.
_MAPPED = frozenset({"message", "text", "review_text", "sender_name", "reviewer_name"})
#: Fields that name the customer: an object with an id, or an id, each with the name's field.
_PEOPLE = (("sender_id", "sender_name"), ("reviewer_id", "reviewer_name"), ("user_id", ""))


def fields(read: Fields, account: Account) -> dict[str, Any]:
    """Return the fields of one change's touchpoint."""
    field = read.text("field") or ""
    if not snake_case(field):
        read.wrong("field", "must be text, for instance feed")
    value = read.inside("value")
    if "sender" in value and any(name in value for name in messaging.FIELDS):
        # An Instagram account that logged in by itself gets its messages as changes.
        return messaging.fields(value, account)
    # What helps to read a change, and costs none.
    beside = read.aside("value")
    verb = value.text("verb") or beside.peek("action") or ""
    verb = _VERBS.get(verb, verb)
    item = value.text("item") or ""
    kind = _feed_type(item, verb, value) if field == "feed" else _type(field, item, verb)
    text = value.text("message") or value.text("text") or value.text("review_text")
    created = value.instant("created_time") if verb in ("", "add") else None
    reaction = beside.label("reaction_type") if kind and item in ("reaction", "like") else None
    return {
        "event_id": _event_id(field, kind, value, account),
        "type": kind or f"meta_{snake_case('_'.join((field, item, verb)))}",
        "identifiers": identifiers(*_customer(field, value, account)),
        "occurred_at": created or account.time,
        "traits": _traits(value),
        "outcome": reaction,
        "sentiment": _sentiment(value) if field == "ratings" else None,
        "subject": subject(text),
        "campaign": campaign(beside, beside.aside("media")),
        "url": beside.peek("permalink_url") or beside.aside("post").peek("permalink_url"),
        "properties": {
            **{name: content for name, content in value.values() if name not in _MAPPED},
            "account_id": account.id,
            "field": field,
            **({"text": text} if text else {}),
        },
    }


def _type(field: str, item: str, verb: str) -> str | None:
    """Return the type of another change; None if we have none: a like of a review, an edit."""
    of_review = field != "ratings" or item in ("", "rating")
    return FIELDS.get(field) if verb in ("", "add") and of_review else None


def _feed_type(item: str, verb: str, value: Fields) -> str | None:
    """Return the type of a change in a page's feed; None if we have none."""
    if item in ("like", "reaction"):
        return _reaction(verb, value)
    if item == "share" and verb == "add":
        return "post_shared"
    thing = "comment" if item == "comment" else "post" if item in _POSTS else None
    return f"{thing}_{_DONE[verb]}" if thing and verb in _DONE else None


def _reaction(verb: str, value: Fields) -> str | None:
    """Return the type of a reaction to a comment or a post; a reaction to neither is a follow."""
    if "comment_id" not in value and "post_id" not in value:
        return {"add": "account_followed", "remove": "account_unfollowed"}.get(verb)
    thing = "comment" if "comment_id" in value else "post"
    if verb == "remove":
        return f"{thing}_unliked"
    if verb not in ("add", "edited"):
        return None
    disliked = value.peek("reaction_type") in _DISLIKES
    return f"{thing}_reacted" if disliked else f"{thing}_liked"


def _event_id(field: str, kind: str | None, value: Fields, account: Account) -> str:
    """Return Meta's id of a comment, post or lead that is new; else one of the content."""
    new = None
    if field in ("comments", "live_comments"):
        new = value.id("id")
    elif field == "leadgen":
        new = value.id("leadgen_id")
    elif kind == "comment_received":
        new = value.id("comment_id")
    elif kind == "post_received":
        new = value.id("post_id")
    return new or derived_id({**dict(value.values()), "field": field, "account": account.id})


def _customer(field: str, value: Fields, account: Account) -> list[tuple[str, str | None]]:
    """Return the customer's id and, at Instagram, the name of the account too.

    If Meta reports only that a lead or a mention exists, the touch is of somebody whom it does not
    name: the id of the lead or mention stands for them.
    """
    who = value.inside("from")
    own = {account.id, who.id("self_ig_scoped_id")}
    told = who if "id" in who else value.inside("user")
    known = told.id("id") or next((value.id(name) for name, _ in _PEOPLE if name in value), None)
    if known in own:
        return [] if known else _unnamed(field, value)
    return [(account.kind, known), (account.kind, _handle(who, account)), *_unnamed(field, value)]


def _handle(who: Fields, account: Account) -> str | None:
    return who.text("username") if account.kind == "instagram" else None


def _unnamed(field: str, value: Fields) -> list[tuple[str, str | None]]:
    thing = None
    if field == "leadgen" and (lead := value.id("leadgen_id")):
        thing = f"meta-lead-{lead}"
    elif field == "mentions" and "from" not in value:
        if comment := value.id("comment_id"):
            thing = f"instagram-comment-{comment}"
        elif media := value.id("media_id"):
            thing = f"instagram-media-{media}"
    return [("anonymous_id", thing)]


def _traits(value: Fields) -> dict[str, str]:
    """Return the customer's name at Facebook."""
    names = [value.inside("from").peek("name")]
    names += [value.peek(name) for _, name in _PEOPLE if name]
    name = next(filter(None, names), None)
    return {"name": name} if name else {}


def _sentiment(value: Fields) -> float | None:
    """Return the sentiment of a recommendation, or of the older rating from 1 (bad) to 5."""
    recommended = (value.text("recommendation_type") or "").lower()
    if recommended:
        return _RECOMMENDED.get(recommended)
    rating = value.id("rating")
    if rating is None:
        return None
    if rating in ("1", "2", "3", "4", "5"):
        return (int(rating) - 3) / 2
    value.wrong("rating", "must be a whole number from 1 to 5")
    return None
