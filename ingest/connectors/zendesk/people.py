"""The customer of a Zendesk event: a ticket's requester, or the end user who wrote or changed."""

from __future__ import annotations

from ingest.kit.fields import Fields

CUSTOMER_ROLE = "end-user"
#: Type of a user's identity -> kind. (Others are ids in apps and accounts of channels.)
_IDENTITIES = {"email": "email", "google": "email", "phone_number": "phone", "phone": "phone"}
#: Events of an identity that the user has from then on.
_GAINED = frozenset({"user.identity_created", "user.identity_changed"})

Found = list[tuple[str, str | None]]


def people(name: str, read: Fields, detail: Fields, event: Fields) -> Found:
    """Return the customer's identifiers.

    The number of the ticket follows them, as a browser's anonymous id does, so that what an agent
    writes in messaging, where Zendesk names only the ticket, is attributed to the same person.
    """
    family = name.partition(".")[0]
    if family == "user":
        return _user(name, detail, event)
    if family not in ("ticket", "messaging_ticket"):
        return []
    requester, writer = detail.id("requester_id"), _writer(event)
    agents = {detail.id("assignee_id"), _agent(event)}
    person = writer if writer not in agents else None
    if requester is None or requester not in agents:
        person = person or requester
    ticket, account = detail.id("id"), read.id("account_id")
    followed = f"zendesk-{account}-ticket-{ticket}" if ticket and account else None
    if requester is not None and person != requester:
        # A ticket among colleagues, or somebody in copy: another person than the ticket's.
        followed = None
    return [("zendesk", person), ("anonymous_id", followed)]


def is_by_customer(comment: Fields) -> bool:
    """Return True if an end user wrote a comment."""
    return comment.inside("author").flag("is_staff") is False


def _user(name: str, detail: Fields, event: Fields) -> Found:
    """Return an end user's identifiers, with an identity gained and the user merged into them."""
    if detail.text("role") != CUSTOMER_ROLE:
        return []
    found: Found = [
        ("customer_id", detail.id("external_id")),
        ("zendesk", detail.id("id")),
        ("email", detail.text("email")),
    ]
    if name == "user.merged":
        found.append(("zendesk", event.inside("user").id("id")))
    if name in _GAINED:
        for _, identity in event.parts("identity", "current"):
            kind = _IDENTITIES.get(identity.peek("type") or "")
            if kind is not None:
                found.append((kind, identity.text("value")))
    return found


def _writer(event: Fields) -> str | None:
    """Return the end user who wrote."""
    actor, comment = event.inside("actor"), event.inside("comment")
    if actor.text("type") == "end_user":
        return actor.id("id")
    if "comment" in event and is_by_customer(comment):
        return comment.inside("author").id("id")
    return None


def _agent(event: Fields) -> str | None:
    """Return the agent who wrote."""
    actor, author = event.inside("actor"), event.inside("comment").inside("author")
    if actor.text("type") == "agent":
        return actor.id("id")
    return author.id("id") if author.flag("is_staff") is True else None
