"""Generated people around the customers of the file.

The people are fictional: names are combined from two lists, e-mail addresses lie in domains that
are reserved for examples (RFC 2606), phone numbers are those that North America reserves for
fiction (555-0100 to 555-0199). Everything is a function of the seed.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

from schemas.phone_numbers import phone_number

FIRST_NAMES = (
    "Aiko", "Alice", "Amir", "Ana", "Ben", "Chloé", "Daniel", "Emi", "Felix", "Grace", "Haruka",
    "Hugo", "Ines", "Jun", "Kenji", "Lena", "Marco", "Mei", "Nora", "Omar", "Paula", "Ravi",
    "Sakura", "Tom", "Uma", "Victor", "Yuki", "Zoë", "さくら", "健太",
)  # fmt: skip
LAST_NAMES = (
    "Abbott", "Baker", "Costa", "Dubois", "Eriksen", "Fischer", "Garcia", "Hayashi", "Ito",
    "Jensen", "Kowalski", "Lopez", "Mori", "Novak", "Okafor", "Petrov", "Quinn", "Rossi", "Sato",
    "Tanaka", "Usman", "Vega", "Watanabe", "Young", "Zhang", "佐藤", "山本",
)  # fmt: skip
EMAIL_DOMAINS = ("example.com", "example.net", "example.org")
#: Area codes in use; with the 100 fictional numbers of each there are enough for everybody.
AREA_CODES = tuple(code for code in range(201, 990) if phone_number(f"+1{code}5550100", None))


@dataclass(slots=True)
class Person:
    """A person who touches the company; a prospect if it has no `customer_id`."""

    number: int
    customer_id: str | None
    name: str
    email: str
    phone: str
    line: str
    #: Anonymous ids of this person's browsers.
    browsers: list[str] = field(default_factory=list)


class People:
    """The population: customers of the file chosen by the seed, and prospects who never bought."""

    def __init__(self, seed: int, customer_ids: Sequence[str], customers: int, prospects: int):
        rng = random.Random(f"{seed}:people")  # noqa: S311 - sample data, nothing secret
        chosen = rng.sample(sorted(customer_ids), customers)
        self.customers = [_person(rng, n, customer) for n, customer in enumerate(chosen)]
        self.prospects = [_person(rng, customers + n, None) for n in range(prospects)]

    @property
    def everybody(self) -> list[Person]:
        """Return customers, then prospects."""
        return [*self.customers, *self.prospects]


def _person(rng: random.Random, number: int, customer_id: str | None) -> Person:
    first, last = rng.choice(FIRST_NAMES), rng.choice(LAST_NAMES)
    return Person(
        number,
        customer_id,
        f"{first} {last}",
        f"{ascii_name(first)}.{ascii_name(last)}.{number:05d}@{rng.choice(EMAIL_DOMAINS)}",
        f"+1{AREA_CODES[number // 100]}55501{number % 100:02d}",
        f"U{rng.getrandbits(128):032x}",
        [random_id(rng) for _ in range(rng.choice((1, 1, 1, 2)))],
    )


def ascii_name(name: str) -> str:
    """Return a name in the form used in an e-mail address."""
    plain = name.encode("ascii", "ignore").decode().lower()
    return plain or "demo"


def random_id(rng: random.Random) -> str:
    """Return a UUID derived from the seed."""
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))
