"""Documents fetched from providers' sites: the addresses that are called, and how."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from aiohttp import web

from ingest.connector import Context, Options, Request, Result, WebhookConnector, touchpoint
from ingest.gateway import fetching
from ingest.gateway.config import Source
from ingest.gateway.fetching import MAX_BYTES, FetchFailed, HttpsGet, allowed
from ingest.intake.accept import SourcePolicy
from tests.support.gateway import serving
from tests.support.https_site import https_site

HOST = "keys.example.com"
KEY = f"https://{HOST}/key"


class NoOptions(Options):
    """None."""


class Careful(WebhookConnector):
    """Takes bodies that are the content of the address in their header; calls another before."""

    name: ClassVar[str] = "careful"
    doc: ClassVar[str] = "for tests"
    options: ClassVar[type[Options]] = NoOptions
    hosts: ClassVar[re.Pattern[str]] = re.compile(r"keys\.example\.com")

    def needs(self, request: Request) -> str | None:
        return request.headers.get("x-key")

    def calls(self, request: Request) -> str | None:
        return request.headers.get("x-call")

    def verify(self, request: Request, received_ms: int) -> bool:
        return request.fetched.get(request.headers.get("x-key", "")) == request.body

    def parse(self, request: Request, context: Context) -> Iterator[Result]:
        yield touchpoint(
            {
                "event_id": "e",
                "channel": "chat",
                "type": "message_received",
                "identifiers": [{"kind": "email", "value": "a@example.com"}],
            },
            request.body,
        )


class Site:
    """Stands for the net; notes what was called."""

    def __init__(self) -> None:
        self.called: list[str] = []
        self.up = True
        self.gate = asyncio.Event()
        self.gate.set()
        self.eight = asyncio.Event()

    async def __call__(self, url: str) -> bytes:
        self.called.append(url)
        if len(self.called) == 8:
            self.eight.set()
        await self.gate.wait()
        if not self.up:
            raise FetchFailed("the provider's site: away")
        return b"the key"


def careful() -> list[Source]:
    return [Source(Careful(), SourcePolicy("careful"))]


async def test_what_is_needed_is_there_before_the_signature_is_checked_and_is_kept() -> None:
    site = Site()
    async with serving(given=careful(), get=site) as gateway:
        for _ in range(3):
            answer = await gateway.post("/hooks/careful", b"the key", headers={"X-Key": KEY})
            assert answer.status == 200
        wrong = await gateway.post("/hooks/careful", b"another", headers={"X-Key": KEY})
        assert wrong.status == 401
        assert site.called == [KEY]
        assert len(gateway.accepted) == 3


async def test_what_is_kept_is_fetched_anew_after_a_day() -> None:
    site, clock = Site(), [0.0]
    async with serving(given=careful(), get=site, monotonic=lambda: clock[0]) as gateway:
        for now, fetched in ((0, 1), (86_000, 1), (87_000, 2)):
            clock[0] = now
            await gateway.post("/hooks/careful", b"the key", headers={"X-Key": KEY})
            assert len(site.called) == fetched


async def test_what_is_kept_is_bounded() -> None:
    site = Site()
    async with serving(given=careful(), get=site) as gateway:
        for n in (*range(40), 39, 0):
            await gateway.post("/hooks/careful", b"the key", headers={"X-Key": f"{KEY}/{n}"})
        assert site.called == [f"{KEY}/{n}" for n in (*range(40), 0)]


async def test_a_site_that_is_away_costs_no_event() -> None:
    site = Site()
    site.up = False
    async with serving(given=careful(), get=site) as gateway:
        answer = await gateway.post("/hooks/careful", b"the key", headers={"X-Key": KEY})
        assert (answer.status, "Retry-After" in answer.headers) == (503, True)
        assert HOST not in answer.body.decode()
        assert gateway.publisher.records == []
        site.up = True
        answer = await gateway.post("/hooks/careful", b"the key", headers={"X-Key": KEY})
        assert answer.status == 200


async def test_requests_at_once_fetch_once_and_too_many_addresses_wait_outside() -> None:
    site = Site()
    site.gate.clear()
    async with serving(given=careful(), get=site) as gateway:

        def post(key: str) -> asyncio.Task[Any]:
            posted = gateway.post("/hooks/careful", b"the key", headers={"X-Key": key})
            return asyncio.create_task(posted)

        waiting = [post(f"{KEY}/{n}") for n in (*range(8), *range(8))]
        async with asyncio.timeout(10):
            await site.eight.wait()
            refused = await post(f"{KEY}/8")
            assert refused.status == 503
            site.gate.set()
            assert {(await task).status for task in waiting} == {200}
        assert sorted(site.called) == sorted(f"{KEY}/{n}" for n in range(8))


async def test_an_address_is_called_for_verified_requests_only_and_before_the_answer() -> None:
    site = Site()
    call = f"https://{HOST}/confirm?token=1"
    headers = {"X-Key": KEY, "X-Call": call}
    async with serving(given=careful(), get=site) as gateway:
        assert (await gateway.post("/hooks/careful", b"no", headers=headers)).status == 401
        assert site.called == [KEY]
        site.up = False
        assert (await gateway.post("/hooks/careful", b"the key", headers=headers)).status == 503
        assert gateway.publisher.records == []
        site.up = True
        assert (await gateway.post("/hooks/careful", b"the key", headers=headers)).status == 200
        assert site.called == [KEY, call, call]


OTHER_ADDRESSES = [
    f"http://{HOST}/key",
    f"https://{HOST}.example.org/key",
    f"https://x{HOST}/key",
    f"https://example.org/{HOST}",
    f"https://{HOST}@example.org/key",
    f"https://user@{HOST}/key",
    f"https://{HOST}:8443/key",
    f"https://{HOST}\n/key",
    f"https://{HOST}\\@example.org/key",
    f"//{HOST}/key",
    f"ftp://{HOST}/key",
    "https://[::1",
    "file:///etc/passwd",
    "",
]


@pytest.mark.parametrize("url", OTHER_ADDRESSES)
def test_other_addresses_are_not_allowed(url: str) -> None:
    assert not allowed(Careful(), url)
    assert allowed(Careful(), KEY)


class Careless(Careful):
    """Names its hosts by a pattern that lets more through than hosts."""

    hosts = re.compile(r".*\.example\.com.*")


@pytest.mark.parametrize("url", [f"https://user@{HOST}/key", f"https://{HOST}:8443/key"])
def test_a_name_or_a_port_in_an_address_is_never_allowed(url: str) -> None:
    assert allowed(Careless(), KEY)
    assert not allowed(Careless(), url)


async def test_other_addresses_are_never_called() -> None:
    site = Site()
    async with serving(given=careful(), get=site) as gateway:
        for url in OTHER_ADDRESSES:
            if "\n" not in url:
                headers = {"X-Key": url, "X-Call": url}
                answer = await gateway.post("/hooks/careful", b"the key", headers=headers)
                assert answer.status == 401
        headers = {"X-Key": KEY, "X-Call": "https://example.org/"}
        assert (await gateway.post("/hooks/careful", b"the key", headers=headers)).status == 200
        assert site.called == [KEY]


# The real GET, against a real server


async def answer(request: web.Request) -> web.StreamResponse:
    match request.path:
        case "/moved":
            raise web.HTTPFound("/key")
        case "/missing":
            raise web.HTTPNotFound
        case "/slow":
            await asyncio.Event().wait()
        case "/large":
            return web.Response(body=b"x" * (MAX_BYTES + 1))
        case "/full":
            return web.Response(body=b"x" * MAX_BYTES)
    return web.Response(body=b"the key")


async def test_a_get_over_https(tmp_path: Path) -> None:
    async with https_site(tmp_path, HOST, answer) as site:
        get = site.get()
        assert await get(KEY) == b"the key"
        assert len(await get(f"https://{HOST}/full")) == MAX_BYTES
        for where in ("moved", "missing", "large"):
            with pytest.raises(FetchFailed) as failed:
                await get(f"https://{HOST}/{where}?token=1")
            assert "token" not in str(failed.value)
        with pytest.raises(FetchFailed, match="Certificate"):
            await get("https://another.example.com/key")
        with pytest.raises(FetchFailed, match="Certificate"):
            await HttpsGet(resolver=site.resolver)(KEY)


async def test_a_get_takes_no_longer_than_its_time(tmp_path: Path) -> None:
    async with https_site(tmp_path, HOST, answer) as site:
        with pytest.raises(FetchFailed, match="Timeout"):
            await site.get(timeout_s=0.3)(f"https://{HOST}/slow")
    assert fetching.TIMEOUT_S <= 10
