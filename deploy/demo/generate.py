"""All traffic of the demo: the purchases of the file, and the traffic generated around them.

The same seed and the same `now` give the same deliveries, in the same order.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from deploy.demo import bad_requests, messages, notes
from deploy.demo.cdnow import CURRENCY, Purchase, Totals, purchases, totals
from deploy.demo.delivery import Delivery, chunks, segment_batch
from deploy.demo.people import People, Person, random_id
from deploy.demo.visits import Browser, identifies, visits
from schemas.identifiers import Identifier
from schemas.times import DAY_MS, HOUR_MS, MINUTE_MS, from_ms, rfc3339

SEED = 1997
BATCH = 100


@dataclass(frozen=True, slots=True)
class Size:
    """Amount of traffic: first purchases of the file, and the traffic generated around them."""

    purchases: int = 69_659
    customers: int = 1_500
    prospects: int = 300
    readers: int = 1_300
    callers: int = 1_000
    texters: int = 600
    friends: int = 450
    shoppers: int = 400
    tablets: int = 12
    shared_addresses: int = 8
    collectors: int = 3
    troubled: int = 12

    def scaled(self, factor: float) -> Size:
        """Return the same mixture, smaller."""
        return Size(
            **{name: max(2, round(getattr(self, name) * factor)) for name in self.__slots__}
        )


@dataclass(frozen=True, slots=True)
class Traffic:
    """All deliveries, and the results that they must lead to."""

    #: The purchases, in the file's order.
    history: list[Delivery]
    #: Everything generated, in the order in which it is sent.
    generated: list[Delivery]
    #: The rows of the file, and their totals.
    rows: list[Purchase]
    file: Totals
    #: Expected owner of each identifier in the end: a customer, or nobody (None).
    owners: dict[Identifier, str | None] = field(default_factory=dict)
    #: E-mail addresses that two customers claim: one of the two is refused.
    disputed: frozenset[str] = frozenset()


def traffic(now_ms: int, seed: int = SEED, size: Size | None = None) -> Traffic:
    """Return the demo's traffic as of `now_ms`."""
    size = size or Size()
    rows = purchases(from_ms(now_ms).date())[: size.purchases]
    cast = People(seed, sorted({row.customer_id for row in rows}), size.customers, size.prospects)
    scene = _Scene(random.Random(f"{seed}:scene"), cast, size, now_ms)  # noqa: S311 - sample data
    generated = sorted(scene.play(), key=lambda delivery: (delivery.at_ms, delivery.source))
    owners = {
        identifier: owner
        for identifier, owner in scene.owners.items()
        if identifier.value not in scene.disputed
    }
    return Traffic(
        list(history(rows)), generated, rows, totals(rows), owners, frozenset(scene.disputed)
    )


def history(rows: Iterable[Purchase]) -> Iterator[Delivery]:
    """Yield the purchases as a shop's server sends them: `Order Completed` calls, 100 a batch."""
    for batch in chunks(list(rows), BATCH):
        calls = [
            {
                "type": "track",
                "event": "Order Completed",
                "messageId": row.event_id,
                "userId": row.customer_id,
                "timestamp": rfc3339(row.at_ms),
                "properties": {
                    "order_id": row.event_id,
                    "revenue": float(row.dollars),
                    "currency": CURRENCY,
                    "products_count": row.cds,
                },
            }
            for row in batch
        ]
        yield segment_batch("shop", calls, batch[0].at_ms)


class _Scene:
    """The generator of all actions, with one random generator; collects the expected results."""

    def __init__(self, rng: random.Random, cast: People, size: Size, now_ms: int) -> None:
        self._rng = rng
        self._cast = cast
        self._size = size
        self._now_ms = now_ms
        self.owners: dict[Identifier, str | None] = {}
        self.disputed: set[str] = set()

    def play(self) -> Iterator[Delivery]:
        """Yield all deliveries, in no particular order."""
        good = [*self._ordinary(), *self._families(), *self._collectors(), *self._wrong_clocks()]
        yield from good
        yield from self._again(good)
        troubled = self._cast.prospects[: self._size.troubled]
        yield from bad_requests.malformed(self._rng, troubled, self._now_ms)
        yield from bad_requests.forged(self._rng, troubled, self._now_ms)

    def _ordinary(self) -> Iterator[Delivery]:
        rng, size, now_ms = self._rng, self._size, self._now_ms
        everybody = self._cast.everybody
        for person in everybody:
            yield from visits(rng, person, now_ms)
            for browser in person.browsers:
                if identifies(person, browser):
                    self._owns(person, "anonymous_id", browser)
                    self._owns(person, "email", person.email)
                    if person.number % 3 == 0:
                        self._owns(person, "phone", person.phone)
        readers = rng.sample(everybody, size.readers)
        yield from notes.sign_ups(rng, readers, now_ms)
        yield from messages.emails(rng, readers, now_ms)
        yield from messages.calls(rng, rng.sample(everybody, size.callers), now_ms)
        yield from messages.texts(rng, rng.sample(everybody, size.texters), now_ms)
        friends = rng.sample(everybody, size.friends)
        yield from messages.line_messages(rng, friends, now_ms)
        yield from notes.line_links(rng, friends, now_ms)
        shoppers = rng.sample(self._cast.customers, size.shoppers)
        yield from notes.store_visits(rng, shoppers, now_ms)
        for kind, people in (("email", readers), ("line", friends), ("phone", shoppers)):
            for person in people:
                self._owns(person, kind, getattr(person, kind))

    def _families(self) -> Iterator[Delivery]:
        """Yield logins of two people on one tablet, and of two customers with one address."""
        rng, size = self._rng, self._size
        pairs = iter(rng.sample(self._cast.customers, 2 * (size.tablets + size.shared_addresses)))
        for number, (one, other) in enumerate(zip(pairs, pairs, strict=True)):
            at_ms = self._now_ms - 5 * DAY_MS + rng.randrange(DAY_MS)
            tablet = random_id(rng)
            if number < size.tablets:
                self.owners[Identifier("anonymous_id", tablet)] = None
                for person in (one, other):
                    yield self._login(tablet, person, at_ms)
                    at_ms += 3 * HOUR_MS
                    self._owns(person, "email", person.email)
                    if person.number % 3 == 0:
                        self._owns(person, "phone", person.phone)
            else:
                self.disputed.add(one.email)
                yield self._login(random_id(rng), one, at_ms)
                alias = replace(other, email=one.email, number=1)
                yield self._login(random_id(rng), alias, at_ms + HOUR_MS)

    def _collectors(self) -> Iterator[Delivery]:
        """Yield logins of customers who use more e-mail addresses than a profile may hold."""
        for person in self._rng.sample(self._cast.customers, self._size.collectors):
            browser = Browser(self._rng, random_id(self._rng))
            at_ms = self._now_ms - 3 * DAY_MS
            calls = []
            for number in range(7):
                alias = replace(person, email=f"{number}.{person.email}", number=1)
                calls.append(browser.identify(at_ms + number * MINUTE_MS, alias))
            self.disputed.add(person.email)
            yield segment_batch("shop-web", calls, at_ms + 7 * MINUTE_MS)

    def _wrong_clocks(self) -> Iterator[Delivery]:
        """Yield visits whose browser is two hours ahead; the gateway corrects the times."""
        ahead_ms = 2 * HOUR_MS
        for person in self._rng.sample(self._cast.customers, 15):
            at_ms = self._now_ms - 20 * MINUTE_MS
            delivery = self._login(random_id(self._rng), person, at_ms + ahead_ms)
            yield replace(delivery, at_ms=at_ms, clock_ahead_ms=ahead_ms)

    def _login(self, anonymous_id: str, person: Person, at_ms: int) -> Delivery:
        browser = Browser(self._rng, anonymous_id)
        calls = [browser.page(at_ms, "/"), browser.identify(at_ms + MINUTE_MS, person)]
        calls.append(browser.page(at_ms + 2 * MINUTE_MS, "/account"))
        return segment_batch("shop-web", calls, at_ms + 2 * MINUTE_MS)

    def _again(self, good: Sequence[Delivery]) -> Iterator[Delivery]:
        """Yield one delivery in 25 a second time, as if its sender had missed the first answer."""
        for first in self._rng.sample(good, len(good) // 25):
            content = first.content
            if first.source == "line":
                content = copy.deepcopy(content)
                for event in content["events"]:
                    event["deliveryContext"]["isRedelivery"] = True
            delay_ms = self._rng.randrange(MINUTE_MS, 6 * HOUR_MS)
            yield replace(first, content=content, again=True, at_ms=first.at_ms + delay_ms)

    def _owns(self, person: Person, kind: str, value: str) -> None:
        if person.customer_id:
            self.owners[Identifier(kind, value)] = person.customer_id
