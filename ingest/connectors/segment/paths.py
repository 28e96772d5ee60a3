"""The paths of Segment's protocol, for Segment's and RudderStack's SDKs as they are.

Sources: Segment's HTTP API and the settings request of analytics-next; RudderStack's HTTP API,
its beacon and `sourceConfig` requests, as their public SDKs make them; the pixels of both, see
`pixel`.
"""

from __future__ import annotations

from typing import Any

from ingest.connector import Reply
from ingest.kit.keyed import Answers, Caller, Cors, Document, Route, Unauthorized
from ingest.kit.web import GIF, UNCACHED

_CALLS = ("track", "identify", "page", "screen", "group", "alias")
#: The SDKs send again what is answered with any other 2xx.
_STORED = Reply(200, b'{"success": true}', "application/json")


def _settings(caller: Caller) -> dict[str, Any]:
    """The settings that analytics-next asks for: where to send, and nothing else to load."""
    scheme, _, host = caller.base_url.partition("://")
    segment = {
        "apiKey": caller.key,
        "apiHost": f"{host}/v1",
        "protocol": scheme,
        "unbundledIntegrations": [],
    }
    return {
        "integrations": {"Segment.io": segment},
        "plan": {"track": {"__default": {"enabled": True, "integrations": {}}}},
        "edgeFunction": {},
        "analyticsNextEnabled": True,
        "middlewareSettings": {},
        "enabledMiddleware": {},
        "metrics": {"sampleRate": 0},
        "legacyVideoPluginsEnabled": False,
        "remotePlugins": [],
    }


def _source_config(caller: Caller) -> dict[str, Any]:
    """The source as RudderStack's SDKs ask for it, without destinations."""
    collection = {"errors": {"enabled": False}, "metrics": {"enabled": False}}
    return {
        "source": {
            "id": caller.source,
            "name": caller.source,
            "enabled": True,
            "config": {"statsCollection": collection},
            "connections": [],
            "destinations": [],
            "dataplanes": {},
            "workspaceId": "touchline",
        }
    }


#: Each call under its name and its first letter, RudderStack's merge, and the paths of a batch:
#: those of beacons, and those of imports of older events.
ROUTES = (
    *(Route(f"/v1/{call}", f"/v1/{call}", reply=_STORED) for call in (*_CALLS, "batch", "merge")),
    *(Route(f"/v1/{call[0]}", f"/v1/{call}", reply=_STORED) for call in (*_CALLS, "batch")),
    *(Route(path, "/v1/batch", reply=_STORED) for path in ("/b", "/beacon/v1/batch", "/v1/import")),
    *(Route(f"/v1/pixel/{call}", f"/v1/{call}", "GET", GIF, UNCACHED) for call in _CALLS),
    *(
        Route(f"/pixel/v1/{call}", f"/v1/{call}", "GET", GIF, UNCACHED)
        for call in ("track", "page")
    ),
)
DOCUMENTS = (
    Document("/v1/projects/{key}/settings", _settings, unknown_status=404),
    Document("/sourceConfig", _source_config),
)
#: The headers that the SDKs send; the star stands for those of the next ones, save Authorization.
CORS = Cors(
    methods=("GET", "HEAD", "POST", "OPTIONS"),
    headers=(
        "Authorization", "Content-Type", "X-Retry-Count", "AnonymousId", "SentAt",
        "Rsa-Recovered", "Rsa-Retry-Attempt", "Rsa-Retry-Reason", "Rsa-Since-First-Attempt",
        "Rsa-Since-Last-Attempt", "*",
    ),
)  # fmt: skip
UNAUTHORIZED = Unauthorized("the write key is missing or unknown")
ANSWERS = Answers(tolerant=False, too_large=400)
