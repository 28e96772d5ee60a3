"""Meta's side: an HMAC of the body by the app's secret.

After https://developers.facebook.com/docs/graph-api/webhooks/getting-started#validate-payloads
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA256, HashAlgorithm
from cryptography.hazmat.primitives.hmac import HMAC

from ingest.connector import Request
from ingest.connectors.meta import SIGNATURE, Meta, MetaOptions
from ingest.testing.suite import ConnectorSuite
from ingest.testing.values import load, posted

PAYLOADS = load(Path(__file__).parent / "payloads")


def mac(content: bytes, secret: str, algorithm: HashAlgorithm) -> str:
    """Return the signature in hexadecimal digits, by another library than the connector's."""
    made = HMAC(secret.encode(), algorithm)
    made.update(content)
    return made.finalize().hex()


def signed(body: bytes, secret: str = "s") -> Request:
    """Return the request that Meta makes."""
    return posted(body, {SIGNATURE: f"sha256={mac(body, secret, SHA256())}"})


def by_two(payloads: dict[str, Any]) -> dict[str, Any]:
    """Return payloads with two events in a body: the suite tries each value many times."""
    found: dict[str, Any] = {}
    for name, body in payloads.items():
        number = itertools.count()
        for entry in body["entry"]:
            (key,) = entry.keys() - {"id", "time"}
            for part in _pairs(entry[key]):
                for events in _changes(part) if "changes" in entry else (part,):
                    one = {**entry, key: events}
                    found[f"{name}-{next(number)}"] = {**body, "entry": [one]}
    return found


def _changes(changes: list[Any]) -> Iterator[list[Any]]:
    """Yield two changes of a page as they are, and one of WhatsApp with two of its events."""
    if not any("metadata" in change["value"] for change in changes):
        yield changes
        return
    for change in changes:
        (name,) = change["value"].keys() - {"messaging_product", "metadata", "contacts"}
        for events in _pairs(change["value"][name]):
            yield [{**change, "value": {**change["value"], name: events}}]


def _pairs(events: list[Any]) -> Iterator[list[Any]]:
    return (events[at : at + 2] for at in range(0, len(events), 2))


class MetaContract(ConnectorSuite):
    """Events of pages, Instagram and WhatsApp."""

    name = "meta"
    payloads = by_two(PAYLOADS)
    #: The time at which Meta sent it, and what it knows of the contact by then.
    redelivery = ("entry.*.time", "entry.*.changes.*.value.contacts.*.user_id")
    #: A message of WhatsApp that is taken back, and one that is edited; a reaction.
    undone = (
        ("whatsapp_changes-1[1]", "whatsapp_changes-0[0]"),
        ("whatsapp_changes-1[1]", "whatsapp_changes-0[1]"),
        ("whatsapp-2[0]", "whatsapp_changes-1[0]"),
    )
    own = (
        ("facebook", "682498302938465"),
        ("instagram", "17841405309211844"),
        ("phone", "+815550783881"),
    )

    def make(self, *secrets: str) -> Meta:
        options = {"app_secret": secrets, "verify_token": secrets}
        return Meta(MetaOptions.model_validate(options))

    def signed(self, body: bytes, secret: str, name: str = "") -> Request:
        return signed(body, secret)

    def with_extra(self, value: Any) -> Any:
        value = {**super().with_extra(value), "entry": copy.deepcopy(value["entry"])}
        for entry in value["entry"]:
            # Not in an event itself: one without an id of Meta's is named by all that it says.
            entry["aFieldOfTomorrow"] = {"x": [1]}
        return value
