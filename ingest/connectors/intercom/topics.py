"""Intercom's topics, and what becomes of them; a topic that is not here keeps its name.

Source: https://developers.intercom.com/docs/references/2.16/webhooks/webhook-models
"""

from __future__ import annotations

#: Topic -> type. Until version 2 users and leads had topics of their own.
TYPES = {
    "conversation.user.created": "conversation_started",
    "conversation.user.replied": "message_received",
    "conversation.admin.single.created": "conversation_started",
    "conversation.admin.replied": "message_sent",
    "conversation.operator.replied": "message_sent",
    "conversation.admin.closed": "conversation_closed",
    "conversation.admin.opened": "conversation_reopened",
    "conversation.read": "conversation_read",
    "conversation.rating.added": "conversation_rated",
    "ticket.rating.provided": "conversation_rated",
    "ticket.created": "ticket_created",
    "ticket.contact.replied": "message_received",
    "ticket.admin.replied": "message_sent",
    "ticket.closed": "ticket_closed",
    "contact.created": "contact_created",
    "contact.user.created": "contact_created",
    "contact.lead.created": "contact_created",
    "user.created": "contact_created",
    "contact.updated": "contact_updated",
    "contact.user.updated": "contact_updated",
    "contact.lead.updated": "contact_updated",
    "contact.email.updated": "contact_email_updated",
    "contact.lead.added_email": "contact_email_updated",
    "contact.added_email": "contact_email_updated",
    "user.email.updated": "contact_email_updated",
    "contact.lead.signed_up": "contact_signed_up",
    "contact.signed_up": "contact_signed_up",
    "visitor.signed_up": "contact_signed_up",
    "contact.merged": "contact_merged",
    "contact.deleted": "contact_deleted",
    "user.deleted": "contact_deleted",
    "contact.tag.created": "contact_tagged",
    "contact.user.tag.created": "contact_tagged",
    "contact.lead.tag.created": "contact_tagged",
    "user.tag.created": "contact_tagged",
    "contact.tag.deleted": "contact_untagged",
    "contact.user.tag.deleted": "contact_untagged",
    "contact.lead.tag.deleted": "contact_untagged",
    "user.tag.deleted": "contact_untagged",
}
#: Topics of what the company wrote to the customer. (A translation repeats what was written.)
OUTBOUND = frozenset(
    {
        "conversation.admin.single.created", "conversation.admin.replied",
        "conversation.admin.replied.translated", "conversation.operator.replied",
        "ticket.admin.replied", "ticket.admin.replied.translated",
    }
)  # fmt: skip
#: Topics of notes among colleagues, which no customer sees.
NOTES = frozenset({"conversation.admin.noted", "ticket.note.created"})
RATINGS = frozenset({"conversation.rating.added", "ticket.rating.provided"})
#: Topics that say that two ids are one person.
JOINING = frozenset(
    {
        "contact.merged", "contact.lead.signed_up", "contact.signed_up", "visitor.signed_up",
    }
)  # fmt: skip
#: Topic -> (type, channel, purpose, decision).
DECISIONS = {
    "contact.subscribed": ("email_subscribed", "email", "marketing", True),
    "contact.unsubscribed": ("email_unsubscribed", "email", "marketing", False),
    "user.unsubscribed": ("email_unsubscribed", "email", "marketing", False),
    "contact.unsubscribed_from_sms": ("sms_unsubscribed", "phone", "sms_marketing", False),
    "user.unsubscribed_from_sms": ("sms_unsubscribed", "phone", "sms_marketing", False),
    "granular.subscribe": ("email_subscribed", "email", "marketing", True),
    "granular.unsubscribe": ("email_unsubscribed", "email", "marketing", False),
}
#: Topic and `stat_type` of something that was sent -> the same, for what the receiver decided.
STATS = {
    ("content_stat.email", "unsubscribe"): ("email_unsubscribed", "email", "marketing", False),
    ("content_stat.email", "spam_complaint"): ("email_complained", "email", "marketing", False),
    ("content_stat.sms", "unsubscribe"): ("sms_unsubscribed", "phone", "sms_marketing", False),
}
#: A decision about text messages, by what it is of an email.
OF_SMS = {"email_subscribed": "sms_subscribed", "email_unsubscribed": "sms_unsubscribed"}
#: Values of `stat_type` that are no act of the receiver.
SENT = frozenset(
    {
        "receipt", "hard_bounce", "soft_bounce", "sms_failure", "push_failure", "failure",
        "tour_step_failure", "series_disengagement", "series_exit",
    }
)  # fmt: skip
