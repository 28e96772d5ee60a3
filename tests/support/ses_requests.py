"""Requests as Amazon SNS makes them, and the results of the connector `ses`."""

from __future__ import annotations

import json
from typing import Any

from ingest.connector import Context
from ingest.connectors.ses import sns_signer
from ingest.connectors.ses.connector import Ses, SesOptions
from ingest.connectors.ses.contract import NOW, SesContract, request
from ingest.connectors.ses.sns_signer import TOPIC
from ingest.testing.values import RECEIVED_MS

PAYLOADS = SesContract.payloads


def connector(**options: Any) -> Ses:
    return Ses(SesOptions(**{"topics": [TOPIC], **options}))


def delivered(event: Any, **more: str) -> dict[str, Any]:
    text = event if isinstance(event, str) else json.dumps(event)
    return sns_signer.signed(sns_signer.notification(text, NOW, **more))


def confirming(**more: str) -> dict[str, Any]:
    return sns_signer.signed(sns_signer.confirmation(NOW, **more))


def parse(event: Any, **options: Any) -> list[Any]:
    context = Context("ses", RECEIVED_MS)
    return list(connector(**options).parse(request(delivered(event)), context))


def one(event: Any, **options: Any) -> Any:
    (result,) = parse(event, **options)
    return result


def changed(name: str, part: str, **changes: Any) -> Any:
    event = PAYLOADS[name]
    return {**event, part: {**event[part], **changes}}
