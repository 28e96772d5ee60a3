"""What the connector `ses` makes of requests as Amazon SNS makes them."""

from __future__ import annotations

import json
from typing import Any

from ingest.connector import Context
from ingest.connectors.ses import Ses, SesOptions
from ingest.contracts import amazon
from ingest.contracts.amazon import TOPIC
from ingest.contracts.ses import NOW, SesContract, request
from ingest.testing.values import RECEIVED_MS

PAYLOADS = SesContract.payloads


def connector(**options: Any) -> Ses:
    return Ses(SesOptions(**{"topics": [TOPIC], **options}))


def delivered(event: Any, **more: str) -> dict[str, Any]:
    text = event if isinstance(event, str) else json.dumps(event)
    return amazon.signed(amazon.notification(text, NOW, **more))


def confirming(**more: str) -> dict[str, Any]:
    return amazon.signed(amazon.confirmation(NOW, **more))


def parse(event: Any, **options: Any) -> list[Any]:
    context = Context("ses", RECEIVED_MS)
    return list(connector(**options).parse(request(delivered(event)), context))


def one(event: Any, **options: Any) -> Any:
    (result,) = parse(event, **options)
    return result


def changed(name: str, part: str, **changes: Any) -> Any:
    event = PAYLOADS[name]
    return {**event, part: {**event[part], **changes}}
