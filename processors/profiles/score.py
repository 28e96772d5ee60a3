"""The engagement score: the weight of a customer's own touches, with a half-life of 30 days.

A profile row carries the points as of its last touch. The view fades them to the moment of the
query and maps them to 0 to 100: ``100 * (1 - exp(-points / 20))``. So the score of an inactive
customer falls by itself, without a write.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from schemas.times import DAY_MS, HOUR_MS

HALF_LIFE_MS = 30 * DAY_MS
#: Touches longer ago weigh less than one per cent.
_REACH_MS = 7 * HALF_LIFE_MS

#: The weight of a touch; types that are not listed weigh 1.
WEIGHTS: Mapping[str, int] = {
    "order_completed": 10,
    "seminar_attended": 8,
    "store_visited": 6,
    "call_completed": 5,
    "form_submitted": 5,
    "message_received": 4,
    "sms_received": 4,
    "document_downloaded": 4,
    "mention_received": 4,
    "comment_received": 4,
    "account_followed": 3,
    "checkout_started": 3,
    "email_clicked": 3,
    "product_added": 2,
    "product_viewed": 2,
    # Acts of the company or the provider say nothing about the customer.
    "email_processed": 0,
    "email_deferred": 0,
    "email_delivered": 0,
    "email_bounced": 0,
    "email_dropped": 0,
    "sms_delivered": 0,
    "sms_failed": 0,
    # These do not show interest of the customer.
    "email_complained": 0,
    "email_unsubscribed": 0,
    "account_unfollowed": 0,
    "order_refunded": 0,
    "call_missed": 1,
}


def weight(event_type: str) -> int:
    """Return the weight of a touch of a type."""
    return WEIGHTS.get(event_type, 1)


def counted_from(at_ms: int) -> int:
    """Return the time (ms) from which touches count in the points at a moment."""
    return max(0, at_ms - _REACH_MS)


def points(weights: Mapping[int, int], at_ms: int) -> float:
    """Return the points at a moment, from the weight of the touches of each hour (since 1970).

    The weights are integers per hour, added in the order of time, so that the result does not
    depend on the order of trails or touches.
    """
    last = at_ms // HOUR_MS
    return round(sum([weights[hour] * _fading(last - hour) for hour in sorted(weights)]), 6)


@lru_cache(maxsize=8192)
def _fading(hours: int) -> float:
    """Return the fraction of a touch's weight that is left after some hours."""
    left: float = 0.5 ** (max(0, hours) * HOUR_MS / HALF_LIFE_MS)
    return left
