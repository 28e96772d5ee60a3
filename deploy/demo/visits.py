"""Generated web visits: anonymous at first, identified later, as a browser's SDK sends them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from deploy.demo.delivery import Delivery, segment_batch
from deploy.demo.people import Person, random_id
from schemas.times import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, parse_ms, rfc3339

SITE = "https://shop.example.com"
GENRES = ("jazz", "classical", "rock", "folk", "electronic", "soundtracks")
CAMPAIGNS = ("spring-sale", "new-releases", "win-back")
#: Length of the generated history.
HISTORY_MS = 45 * DAY_MS


class Browser:
    """A browser with the SDK: each call has its anonymous id and, once known, the user's id."""

    def __init__(self, rng: random.Random, anonymous_id: str) -> None:
        self._rng = rng
        self._anonymous_id = anonymous_id
        self._campaign: dict[str, str] | None = None
        self.user_id: str | None = None

    def call(self, kind: str, at_ms: int, **fields: Any) -> dict[str, Any]:
        """Return one call of the Segment protocol, labelled as generated."""
        context: dict[str, Any] = {"library": {"name": "analytics.js", "version": "next-1.70.0"}}
        if self._campaign:
            context["campaign"] = self._campaign
        call: dict[str, Any] = {
            "type": kind,
            "messageId": f"ajs-{random_id(self._rng)}",
            "timestamp": rfc3339(at_ms),
            "anonymousId": self._anonymous_id,
            "context": context,
            **fields,
        }
        if self.user_id:
            call["userId"] = self.user_id
        return call

    def page(self, at_ms: int, path: str) -> dict[str, Any]:
        """Return a page view."""
        properties = {"url": SITE + path, "path": path, "title": path[1:] or "home"}
        return self.call("page", at_ms, name=path, properties={**properties, "generated": True})

    def track(self, at_ms: int, event: str, **properties: Any) -> dict[str, Any]:
        """Return a named event."""
        return self.call("track", at_ms, event=event, properties={**properties, "generated": True})

    def identify(self, at_ms: int, person: Person) -> dict[str, Any]:
        """Return an identify call: a customer logs in, or a prospect leaves an address."""
        self.user_id = person.customer_id
        traits = {"name": person.name, "email": person.email, "generated": True}
        if person.number % 3 == 0:
            traits["phone"] = person.phone
        call = self.call("identify", at_ms, traits=traits)
        if self._rng.random() < 0.6:
            preferences = {"marketing": self._rng.random() < 0.7}
            call["context"]["consent"] = {"categoryPreferences": preferences}
        return call

    def arrive(self) -> None:
        """Begin a new visit, sometimes through a campaign."""
        self._campaign = None
        if self._rng.random() < 0.3:
            name = self._rng.choice(CAMPAIGNS)
            self._campaign = {"name": name, "source": "newsletter", "medium": "email"}


def visits(rng: random.Random, person: Person, now_ms: int) -> Iterator[Delivery]:
    """Yield all visits of one person with all their browsers.

    A customer logs in during one of the visits of each browser; the visits before were anonymous.
    One prospect in three leaves an address, and one browser in twelve is never identified.
    """
    for anonymous_id in person.browsers:
        count = rng.randint(1, 3)
        starts = sorted(now_ms - HOUR_MS - rng.randrange(HISTORY_MS) for _ in range(count))
        known = rng.randrange(count) if identifies(person, anonymous_id) else None
        browser = Browser(rng, anonymous_id)
        for number, start in enumerate(starts):
            browser.arrive()
            calls = list(_visit(rng, browser, start, person if number == known else None))
            yield _batch(rng, calls)


def identifies(person: Person, anonymous_id: str) -> bool:
    """Return True if this browser is ever identified."""
    if person.customer_id is None:
        return person.number % 3 == 0
    return int(anonymous_id[:4], 16) % 12 != 0


def _visit(
    rng: random.Random, browser: Browser, at_ms: int, login: Person | None
) -> Iterator[dict[str, Any]]:
    genre = rng.choice(GENRES)
    yield browser.page(at_ms, "/")
    pages = rng.randint(1, 6)
    login_after = rng.randint(1, pages)
    for number in range(1, pages + 1):
        at_ms += rng.randrange(8 * SECOND_MS, 2 * MINUTE_MS)
        if rng.random() < 0.45:
            cd = rng.randrange(1, 500)
            path = f"/{genre}/cd-{cd}"
            product = {"product_id": f"cd-{cd}", "title": f"{genre} no. {cd}"}
            yield browser.page(at_ms, path)
            yield browser.track(at_ms + 1, "Product Viewed", url=SITE + path, **product)
        else:
            yield browser.page(at_ms, f"/{genre}")
        if login is not None and number == login_after:
            yield browser.identify(at_ms + 5 * SECOND_MS, login)
    if rng.random() < 0.15:
        yield browser.track(at_ms + 9 * SECOND_MS, "Product Added", title=f"a CD, {genre}")
        if rng.random() < 0.4:
            yield browser.track(at_ms + 60 * SECOND_MS, "Checkout Started", title="the cart")


def _batch(rng: random.Random, calls: list[dict[str, Any]]) -> Delivery:
    """Return the visit as one batch, sent at its end; one in forty was offline and is days late."""
    ended_ms = parse_ms(calls[-1]["timestamp"])
    late_ms = rng.randint(2, 9) * DAY_MS if rng.random() < 0.025 else 0
    return segment_batch("shop-web", calls, ended_ms + late_ms)
