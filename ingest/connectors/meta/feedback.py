"""Customers' answers to the questions of a page: how content they are, in Messenger.

Source:
https://developers.facebook.com/documentation/business-messaging/messenger-platform/send-messages/templates/customer-feedback-template
"""

from __future__ import annotations

from collections.abc import Iterator

from ingest.kit.fields import Fields

#: Kind of a question -> the worst and the best answer.
SCALES = {"csat": (1, 5), "nps": (0, 10), "ces": (1, 7)}


def sentiment(feedback: Fields) -> float | None:
    """Return the first answer on a scale, from -1 to 1; None if there is none."""
    for question in _questions(feedback):
        worst, best = SCALES.get(question.peek("type") or "", (0, 0))
        answer = question.id("payload") or ""
        if answer in map(str, range(worst, best + 1)) and best:
            return 2 * (int(answer) - worst) / (best - worst) - 1
    return None


def written(feedback: Fields) -> str | None:
    """Return what the customer wrote beside the answer."""
    texts = (question.aside("follow_up").peek("payload") for question in _questions(feedback))
    return next(filter(None, texts), None)


def _questions(feedback: Fields) -> Iterator[Fields]:
    screens = Fields(dict(feedback.values())).objects("feedback_screens")
    for questions in (Fields(screen).aside("questions") for screen in screens):
        yield from (questions.aside(name) for name, _ in questions.values())
