"""The advertisement that led a customer to the company, wherever Meta names it.

Source:
https://developers.facebook.com/documentation/business-messaging/messenger-platform/webhooks/webhook-events/messaging_referrals
(`ad_id`) and
https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages
(`referral`, `source_type` ad).
"""

from __future__ import annotations

from ingest.kit.fields import Fields, label
from ingest.kit.fields import campaign as named


def campaign(*parts: Fields) -> dict[str, str] | None:
    """Return the advertisement that the first of these parts names; None if none does.

    A part is a referral, a lead, or the media that a comment belongs to. A post that led to the
    conversation is no advertisement.
    """
    return next(filter(None, map(_advertisement, parts)), None)


def _advertisement(part: Fields) -> dict[str, str] | None:
    ad = part.label("ad_id")
    if ad is None:
        is_ad = (part.peek("source_type") or "").lower() == "ad"
        return named(part.label("source_id")) if is_ad else None
    title = part.aside("ads_context_data").peek("ad_title") or part.peek("ad_title")
    source = part.label("source")
    return {
        "name": label(title or ad),
        "content": ad,
        **({"source": source} if source else {}),
    }
