"""Satisfaction with a ticket, as sentiment: on the scale of every other rating, from -1 to 1."""

from __future__ import annotations

from typing import Any

from ingest.kit.fields import Fields, id_text, subject

#: Score -> sentiment: the two of Zendesk's own survey, and those of one from 1 to 5.
_SENTIMENTS = {
    "good": 1.0, "good_with_comment": 1.0, "bad": -1.0, "bad_with_comment": -1.0,
    "1": -1.0, "2": -0.5, "3": 0.0, "4": 0.5, "5": 1.0,
}  # fmt: skip
#: Fields with a rating, and those with the score in one.
_RATINGS = ("satisfaction_score", "satisfaction_rating", "csat", "rating", "current", "score")
_SCORES = ("score", "rating", "value", "current")


def rating(name: str, detail: Fields, event: Fields) -> dict[str, Any] | None:
    """Return the customer's rating; None for another event, and for a survey that was offered."""
    if not name.startswith(("ticket.csat_received", "ticket.satisfaction_")):
        return None
    for place in (event, detail):
        given = dict(place.values())
        for field in _RATINGS:
            found = _rated(given.get(field))
            if found is not None:
                return found
    return None


def _rated(value: Any) -> dict[str, Any] | None:
    inside = value if isinstance(value, dict) else {"score": value}
    for field in _SCORES:
        score = id_text(inside.get(field))
        sentiment = _SENTIMENTS.get(score.lower()) if score else None
        if sentiment is not None:
            comment = Fields(inside).peek("comment")
            return {"sentiment": sentiment, **({"subject": subject(comment)} if comment else {})}
    return None
