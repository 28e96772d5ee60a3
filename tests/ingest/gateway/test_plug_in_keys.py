"""Connectors with a key that a package from outside brings, served by the gateway."""

from __future__ import annotations

import importlib
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from ingest.connector import Context, Options, Request, Result, WebhookConnector
from ingest.gateway.config import GatewayConfig, Source
from ingest.gateway.protocols import SourcesClash
from ingest.gateway.sources import Sources
from ingest.intake.accept import SourcePolicy
from ingest.kit.keyed import Document, KeyedWebhook, Route
from tests.support.gateway import Gateway, serving, source
from tests.support.plug_in import Installed

PACKAGE = Path(__file__).parents[2] / "support" / "keyed_plug_in"
pytestmark = pytest.mark.integration
EVENT = {"id": "e1", "who": "hanako@example.com"}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("keyed")
    shutil.copytree(PACKAGE, folder / "package")
    return Installed(folder / "package", folder / "site")


@pytest.fixture(scope="module")
def site(installed: Installed) -> Iterator[None]:
    """The package can be imported, and found by its entry points."""
    folder = str(installed.folder.parent / "site")
    sys.path.insert(0, folder)
    importlib.invalidate_caches()
    yield
    sys.path.remove(folder)


def plugged(*more: Source) -> list[Source]:
    return [
        source("north", "acme_sdk", {"key": ["n-one", "n-two"]}),
        source("south", "acme_sdk", {"key": "s-one"}),
        source("door", "acme_bell", {"key": "d-one"}),
        source("gate", "acme_bell", {"key": "g-one"}),
        *more,
    ]


@pytest.fixture
async def gateway(site: None) -> AsyncIterator[Gateway]:
    async with serving(given=plugged()) as running:
        yield running


class TestDeclaredPaths:
    @pytest.mark.parametrize("path", ["/acme/v2/events", "/acme/anything/beacon"])
    @pytest.mark.parametrize(
        ("key", "name"), [("n-one", "north"), ("n-two", "north"), ("s-one", "south")]
    )
    async def test_each_key_finds_its_source(
        self, gateway: Gateway, path: str, key: str, name: str
    ) -> None:
        answer = await gateway.post(path, EVENT, headers={"X-Acme-Key": key})
        declared = (202, b"thanks") if path == "/acme/v2/events" else (200, b"")
        assert (answer.status, answer.body) == declared
        assert [row["source"] for row in gateway.accepted] == [name]

    @pytest.mark.parametrize("key", ["", "wrong", "d-one"])
    async def test_a_wrong_key_is_401_and_nothing_is_kept(self, gateway: Gateway, key: str) -> None:
        answer = await gateway.post("/acme/v2/events", EVENT, headers={"X-Acme-Key": key})
        assert (answer.status, answer.json["code"]) == (401, "unauthorized")
        assert answer.json["message"] == "the key is missing or unknown"
        assert gateway.publisher.records == []

    async def test_documents_and_cors_are_served_too(self, gateway: Gateway) -> None:
        answer = await gateway.call("GET", "/acme/config/s-one")
        assert (answer.status, answer.json) == (200, {"source": "south"})
        assert (await gateway.call("GET", "/acme/config/wrong")).status == 401
        for path in ("/acme/v2/events", "/acme/anything/beacon", "/acme/config/x"):
            answer = await gateway.call("OPTIONS", path, headers={"Origin": "https://a.example"})
            assert answer.status == 204
            assert answer.headers["Access-Control-Allow-Headers"] == "X-Acme-Key"

    async def test_the_source_is_served_under_its_own_name_too(self, gateway: Gateway) -> None:
        body = {**EVENT}
        answer = await gateway.post("/hooks/south", body, headers={"X-Acme-Key": "n-one"})
        assert answer.status == 401
        assert (await gateway.post("/hooks/acme_sdk", body)).status == 404


class TestSharedHook:
    """A connector that declares no paths is found by its key at `/hooks/` and its name."""

    @pytest.mark.parametrize(("key", "name"), [("d-one", "door"), ("g-one", "gate")])
    @pytest.mark.parametrize("in_body", [False, True])
    async def test_each_key_finds_its_source(
        self, gateway: Gateway, key: str, name: str, in_body: bool
    ) -> None:
        headers = {} if in_body else {"X-Bell-Key": key}
        body = {**EVENT, "key": key} if in_body else EVENT
        answer = await gateway.post("/hooks/acme_bell", body, headers=headers)
        assert (answer.status, answer.body) == (200, b"")
        assert [row["source"] for row in gateway.accepted] == [name]

    @pytest.mark.parametrize(
        ("headers", "body"),
        [
            ({}, EVENT),
            ({"X-Bell-Key": "n-one"}, EVENT),
            ({"X-Bell-Key": "wrong"}, {**EVENT, "key": "d-one"}),
            ({}, {**EVENT, "key": "wrong"}),
            ({}, b"not json"),
        ],
    )
    async def test_a_wrong_key_is_401_and_nothing_is_kept(
        self, gateway: Gateway, headers: dict[str, str], body: Any
    ) -> None:
        answer = await gateway.post("/hooks/acme_bell", body, headers=headers)
        assert (answer.status, answer.json["code"]) == (401, "unauthorized")
        assert gateway.publisher.records == []

    async def test_a_handshake_shows_the_key(self, gateway: Gateway) -> None:
        for key, status in (("d-one", 200), ("wrong", 401)):
            answer = await gateway.call("GET", "/hooks/acme_bell", headers={"X-Bell-Key": key})
            assert answer.status == status

    async def test_a_source_of_this_name_keeps_the_address(self, site: None) -> None:
        namesake = source("acme_bell", "acme_bell", {"key": "own"})
        async with serving(given=plugged(namesake)) as gateway:
            for key, status in (("own", 200), ("d-one", 401)):
                headers = {"X-Bell-Key": key}
                answer = await gateway.post("/hooks/acme_bell", EVENT, headers=headers)
                assert answer.status == status
            assert [row["source"] for row in gateway.accepted] == ["acme_bell"]

    async def test_nobody_without_a_valid_key_in_a_header_has_a_body_read(self, site: None) -> None:
        async with serving(GatewayConfig(port=0, linger_s=0.2), plugged()) as gateway:
            head = (
                "POST /hooks/acme_bell HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                "X-Bell-Key: wrong\r\nContent-Length: 1000000\r\n\r\n"
            )
            assert (await gateway.raw(head.encode())).startswith(b"HTTP/1.1 401")


def test_the_command_line_finds_it(installed: Installed) -> None:
    status, said = installed.connectors("list")
    assert status == 0, said
    assert "acme_sdk" in said
    (installed.folder / "touchline.yaml").write_text(
        "sources:\n"
        "  north: {connector: acme_sdk, key: n, origins: [https://shop.example.com]}\n"
        "  door: {connector: acme_bell, key: d, origins: [https://shop.example.com]}\n"
    )
    status, said = installed.python("-m", "deploy", "check")
    assert status == 1
    assert "sources.door.origins" in said
    assert "pages do not send to a source of acme_bell" in said
    assert "acme_sdk" not in said


class Claiming(KeyedWebhook):
    name: ClassVar[str] = "claiming"
    doc: ClassVar[str] = "for tests"
    options: ClassVar[type[Options]] = Options

    @classmethod
    def head_key(cls, request: Request) -> bytes | None:
        return None

    def parse(self, request: Request, context: Context) -> Iterator[Result]:
        yield from ()


def claims(*routes: Route, documents: tuple[Document, ...] = ()) -> Source:
    cls = type("Claims", (Claiming,), {"routes": routes, "documents": documents})
    made = cls(())
    assert isinstance(made, WebhookConnector)
    return Source(made, SourcePolicy("mine"))


class TestClashes:
    @pytest.mark.parametrize(
        ("path", "owner"),
        [
            ("/v1/track", "connector 'segment' (ingest.connectors.segment.connector.Segment)"),
            ("/snowplow/mine/com.snowplowanalytics.snowplow/tp2", "connector 'snowplow'"),
            ("/v1/{anything}", "connector 'segment'"),
            ("/hooks/mine", "the gateway itself"),
            ("/metrics", "the gateway itself"),
        ],
    )
    def test_a_path_of_others_is_refused(self, path: str, owner: str) -> None:
        with pytest.raises(SourcesClash) as told:
            Sources([claims(Route(path))])
        text = str(told.value)
        assert text.startswith("connector 'claiming' (")
        assert f" serves POST {path}, which belongs to {owner}" in text
        assert text.endswith("give it another path in its class, or configure no source of it")

    def test_the_same_path_with_another_method_is_not(self) -> None:
        Sources([claims(Route("/v1/track", method="GET"), Route("/mine/{key}/x"))])

    def test_a_document_clashes_as_a_route_of_get_does(self) -> None:
        with pytest.raises(SourcesClash, match="GET /i, which belongs to connector 'snowplow'"):
            Sources([claims(documents=(Document("/i", lambda _: {}),))])

    @pytest.mark.parametrize(
        "path", ["", "mine", "/", "/{key}", "/a{key}", "/a/x{key}", "/a/{k-y}"]
    )
    def test_a_path_that_cannot_be_served_is_refused(self, path: str) -> None:
        with pytest.raises(SourcesClash, match="must begin with / and a fixed part"):
            Sources([claims(Route(path))])
