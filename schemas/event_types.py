"""The known event types, with their channel and the fields expected of them.

A source may send any other type; these are the names to use where they fit, so that a segment or
a report written for one provider serves the next.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EventTypeInfo:
    """A known type: the channel it belongs to, what it means, the fields to expect."""

    name: str
    channel: str
    doc: str
    expects: tuple[str, ...] = ()


def _types(channel: str, **docs: str | tuple[str, tuple[str, ...]]) -> list[EventTypeInfo]:
    return [
        EventTypeInfo(name, channel, *((doc,) if isinstance(doc, str) else doc))
        for name, doc in docs.items()
    ]


_EVENT_TYPES: list[EventTypeInfo] = [
    *_types(
        "web",
        page_viewed=("a page was shown", ("url",)),
        screen_viewed="a screen of an app was shown",
        identified=("the visitor said who they are", ("traits",)),
        group_joined="the customer belongs to an account or company",
        aliased="two ids of the same visitor",
        product_viewed="a product page was shown",
        document_downloaded=("a document was downloaded", ("subject",)),
        form_submitted="a form was sent",
    ),
    *_types(
        "email",
        email_processed="the provider took the message",
        email_deferred="the receiver asked to try again later",
        email_delivered="the receiver took the message",
        email_opened="the message was opened",
        email_clicked=("a link in it was followed", ("url",)),
        email_bounced="the receiver refused the message",
        email_dropped="the provider did not send it",
        email_complained=("it was reported as spam", ("consent",)),
        email_unsubscribed=("the customer does not want more", ("consent",)),
    ),
    *_types(
        "phone",
        call_completed=("a call that was answered", ("duration_s", "outcome")),
        call_missed=("a call that was not answered", ("outcome",)),
        call_transferred="a caller was passed on before anybody answered",
        sms_delivered="a text message arrived",
        sms_failed="a text message did not arrive",
        sms_received=("the customer wrote a text message", ("subject",)),
    ),
    *_types(
        "social",
        message_received="the customer wrote a message",
        comment_received="the customer commented a post",
        mention_received="the customer mentioned the company",
        account_followed="the customer follows the account",
        account_unfollowed="the customer no longer follows it",
        post_liked="the customer liked a post",
        postback_received="the customer pressed a button in a message",
        message_delivered="a message of the company arrived",
        message_read="the customer read a message of the company",
        message_reacted="the customer reacted to a message",
        message_failed=("a message of the company did not arrive", ("outcome",)),
        messages_subscribed=("the customer wants messages", ("consent",)),
        messages_unsubscribed=("the customer wants no more messages", ("consent",)),
        post_received="the customer posted on the company's page",
        post_shared="the customer shared a post",
        post_quoted="the customer quoted a post",
        account_blocked=("the customer blocked the account", ("consent",)),
        review_received=("the customer rated the company", ("sentiment",)),
    ),
    *_types(
        "chat",
        conversation_started="a conversation was opened",
        conversation_closed="a conversation was closed",
        conversation_reopened="a conversation that was closed goes on",
        conversation_rated=("the customer rated the conversation", ("sentiment",)),
        message_sent="the company wrote to the customer",
        ticket_created="the customer's request became a ticket",
        ticket_solved="the ticket was answered",
    ),
    *_types(
        "commerce",
        cart_viewed="the cart was shown",
        cart_created="a cart was begun",
        cart_updated="something in the cart was changed",
        product_added="a product was put into the cart",
        checkout_started="the checkout began",
        checkout_updated="something was filled in at the checkout",
        checkout_completed="the checkout was finished, whether paid already or not",
        order_placed="an order was made, whether paid already or not",
        order_completed=("an order was paid", ("value",)),
        order_cancelled="an order was cancelled",
        order_fulfilled="all of an order was sent",
        order_refunded=("money was given back", ("value",)),
    ),
    *_types("store", store_visited="the customer came to the shop"),
    *_types("event", seminar_attended="the customer took part"),
]

EVENT_TYPES: dict[str, EventTypeInfo] = {info.name: info for info in _EVENT_TYPES}
COMMERCE_TYPES = frozenset(info.name for info in _EVENT_TYPES if info.channel == "commerce")
