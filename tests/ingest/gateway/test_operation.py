"""Running the gateway: health, metrics, logs, outages, admission, stop."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence

import pytest
import structlog
from structlog.testing import capture_logs

from ingest.gateway.app import run_gateway
from ingest.gateway.config import GatewayConfig, Ports
from ingest.gateway.sources import Sources
from ingest.publishing.memory import MemoryPublisher
from ingest.publishing.port import Message, NotAcknowledged
from tests.support.gateway import BASIC, BEARER, Gateway, serving, source
from tests.support.gateway_metrics import Counts
from tests.support.gateway_requests import store_visit
from tests.support.waiting import until


class Held(MemoryPublisher):
    """A publisher whose acknowledgements the test gives."""

    def __init__(self) -> None:
        super().__init__()
        self.acknowledge = asyncio.Event()
        self.waiting = 0

    async def publish(self, messages: Sequence[Message]) -> None:
        self.waiting += 1
        await self.acknowledge.wait()
        await super().publish(messages)


class Failing(MemoryPublisher):
    async def publish(self, messages: Sequence[Message]) -> None:
        raise NotAcknowledged("no", retry_after=7)


class TestHealth:
    async def test_healthz_and_readyz(self, gateway: Gateway) -> None:
        assert (await gateway.call("GET", "/healthz")).status == 200
        assert (await gateway.call("GET", "/readyz")).status == 200

    async def test_without_kafka_it_lives_and_is_not_ready(self, gateway: Gateway) -> None:
        gateway.publisher.outage = "Kafka at k:1 is not reachable"
        assert (await gateway.call("GET", "/healthz")).status == 200
        ready = await gateway.call("GET", "/readyz")
        assert (ready.status, ready.json["reason"]) == (503, "Kafka at k:1 is not reachable")
        answer = await gateway.post("/v1/track", {"event": "X", "userId": "u"}, headers=BASIC)
        assert (answer.status, answer.json["code"]) == (503, "unavailable")
        assert int(answer.headers["Retry-After"]) >= 1
        gateway.publisher.outage = None
        assert await gateway.healthy()

    async def test_metrics_are_served_where_they_are_given(self, gateway: Gateway) -> None:
        assert (await gateway.call("GET", "/metrics")).status == 404
        async with serving(metrics_text=lambda: b"touchline_up 1\n") as other:
            answer = await other.call("GET", "/metrics")
            assert answer.body == b"touchline_up 1\n"
            assert answer.headers["Content-Type"].startswith("text/plain")

    @pytest.mark.parametrize("path", ["/", "/v1", "/v1/nothing", "/hooks/", "/hooks/a/b"])
    async def test_other_paths_are_404_in_json(self, gateway: Gateway, path: str) -> None:
        answer = await gateway.post(path, {})
        assert (answer.status, answer.json["code"]) == (404, "not_found")

    async def test_other_methods_are_405_in_json(self, gateway: Gateway) -> None:
        answer = await gateway.call("GET", "/v1/events", headers=BEARER)
        assert (answer.status, answer.json["code"]) == (405, "method_not_allowed")
        assert answer.headers["Allow"] == "POST"


class TestAcknowledgement:
    async def test_no_answer_before_kafka_has_the_events(self) -> None:
        held = Held()
        async with serving(publisher=held) as gateway:
            events = [store_visit("a"), store_visit("b", identifiers=[])]
            asked = asyncio.create_task(gateway.post("/v1/events", events, headers=BEARER))
            await until(lambda: held.waiting)
            assert not asked.done()
            held.acknowledge.set()
            assert (await asked).status == 202
            assert (len(gateway.accepted), len(gateway.rejected)) == (1, 1)

    async def test_a_request_is_one_publish(self) -> None:
        held = Held()
        held.acknowledge.set()
        async with serving(publisher=held) as gateway:
            events = [store_visit(str(n)) for n in range(50)] + [{}]
            await gateway.post("/v1/events", events, headers=BEARER)
            assert held.waiting == 1

    @pytest.mark.parametrize(
        ("path", "headers"), [("/v1/track", BASIC), ("/v1/events", BEARER)], ids=["segment", "own"]
    )
    async def test_what_kafka_does_not_have_is_503(
        self, path: str, headers: dict[str, str]
    ) -> None:
        """Also where the event itself is refused: the refusal could not be stored."""
        async with serving(publisher=Failing()) as gateway:
            for body in ({**store_visit("e"), "event": "X", "userId": "u"}, {}):
                answer = await gateway.post(path, body, headers=headers)
                assert (answer.status, answer.headers["Retry-After"]) == (503, "7")

    async def test_admission_sends_senders_away(self) -> None:
        wait_s: list[float | None] = [1.2]
        async with serving(admission=lambda: wait_s[0]) as gateway:
            answer = await gateway.post("/v1/track", {"event": "X", "userId": "u"}, headers=BASIC)
            assert (answer.status, answer.headers["Retry-After"]) == (503, "2")
            assert answer.headers["Access-Control-Allow-Origin"] == "*"
            assert (await gateway.call("GET", "/healthz")).status == 200
            wait_s[0] = None
            assert await gateway.healthy()


class TestWhatIsCounted:
    async def test_events_by_source_connector_and_reason(self) -> None:
        counts = Counts()
        async with serving(metrics=counts) as gateway:
            events = [store_visit("a"), store_visit("b", identifiers=[]), {}]
            await gateway.post("/v1/events", events, headers=BEARER)
            await gateway.post("/v1/t", {"event": "X", "userId": "u"}, headers=BASIC)
            await gateway.post("/v1/t", {"event": "X", "userId": "u"})
            await gateway.post("/hooks/line", b"{}")
            await gateway.call("GET", "/nowhere/secret")
        assert counts.events == {
            ("received", "crm", "touchpoint"): 3,
            ("accepted", "crm", "touchpoint"): 1,
            ("rejected", "crm", "touchpoint", "no_identifier"): 1,
            ("rejected", "crm", "touchpoint", "invalid"): 1,
            ("received", "shop", "segment"): 1,
            ("accepted", "shop", "segment"): 1,
        }
        assert counts.publishes == [True, True]
        assert counts.refused == {("", "segment"): 1, ("line", "line"): 1}
        assert counts.requests == [
            ("/v1/events", "POST", 202),
            ("/v1/t", "POST", 200),
            ("/v1/t", "POST", 401),
            ("/hooks/{source}", "POST", 401),
            ("unknown", "GET", 404),
        ]

    async def test_the_log_holds_no_personal_data_and_no_key(self) -> None:
        structlog.reset_defaults()
        with capture_logs() as logs:
            async with serving() as gateway:
                body = {"event": "X", "userId": "private-id", "context": {"ip": "203.0.113.9"}}
                await gateway.post("/v1/track?writeKey=wk-shop", body)
                await gateway.post("/v1/track", b"private-id", headers=BASIC)
                await gateway.call("GET", "/v1/projects/wk-shop/settings")
                await gateway.call("GET", "/private-id")
                await gateway.raw(b"private-id nonsense\r\n\r\n")
                await gateway.raw(b"GET / HTTP/1.1\r\nprivate-id\r\n\r\n")
        text = json.dumps(logs)
        for secret in ("private-id", "wk-shop", "203.0.113.9", "d2stc2hvcDo"):
            assert secret not in text
        requests = [entry for entry in logs if entry["event"] == "request"]
        assert {"method", "route", "status", "ms", "bytes", "request_id"} <= requests[0].keys()
        assert requests[2]["route"] == "/v1/projects/{key}/settings"
        assert "http_error" in [entry["event"] for entry in logs]

    async def test_wrong_signatures_are_told_once_a_minute_with_their_source(self) -> None:
        structlog.reset_defaults()
        counts = Counts()
        with capture_logs() as logs:
            async with serving(metrics=counts) as gateway:
                for _ in range(5):
                    await gateway.post("/hooks/line", b"{}", headers={"X-Line-Signature": "x"})
        told = [entry for entry in logs if entry["event"] == "unauthorized"]
        assert [(one["source"], one["connector"]) for one in told] == [("line", "line")]
        assert counts.refused == {("line", "line"): 5}

    @pytest.mark.parametrize("path", ["/healthz", "/readyz"])
    async def test_probes_are_debug_lines_of_the_log(self, path: str) -> None:
        structlog.reset_defaults()
        with capture_logs() as logs:
            async with serving() as gateway:
                await gateway.call("GET", path)
        told = [one for one in logs if one["event"] == "request" and one["route"] == path]
        assert {one["log_level"] for one in told} == {"debug"}

    async def test_a_reply_names_its_request(self, gateway: Gateway) -> None:
        answers = [await gateway.call("GET", "/healthz") for _ in range(2)]
        assert len({answer.headers["X-Request-Id"] for answer in answers}) == 2


class TestStop:
    async def test_running_requests_finish_and_new_ones_find_nobody(self) -> None:
        held, stop = Held(), asyncio.Event()
        url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        config = GatewayConfig(port=0, stop_s=5)
        sources = [source("crm", "touchpoint", {"token": "tok-crm"})]
        task = asyncio.create_task(
            run_gateway(config, sources, Ports(held), stop, started=url.set_result)
        )
        async with serving() as client:  # only for its HTTP session
            client.url = await url
            asked = asyncio.create_task(client.post("/v1/events", store_visit("e"), headers=BEARER))
            await until(lambda: held.waiting)
            stop.set()
            await until(lambda: _refuses(client.url))
            held.acknowledge.set()
            assert (await asked).status == 202
        async with asyncio.timeout(5):
            await task
        assert len(held.records) == 1
        assert held.problem is not None

    async def test_it_does_not_wait_longer_than_it_may(self) -> None:
        held, stop = Held(), asyncio.Event()
        url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        config = GatewayConfig(port=0, stop_s=0.5)
        sources = [source("crm", "touchpoint", {"token": "tok-crm"})]
        task = asyncio.create_task(
            run_gateway(config, sources, Ports(held), stop, started=url.set_result)
        )
        async with serving() as client:
            client.url = await url
            asked = asyncio.create_task(client.post("/v1/events", store_visit("e"), headers=BEARER))
            await until(lambda: held.waiting)
            started = time.monotonic()
            stop.set()
            async with asyncio.timeout(5):
                await task
            assert time.monotonic() - started < 2
            await asyncio.gather(asked, return_exceptions=True)

    async def test_a_port_that_is_taken_is_said(self, gateway: Gateway) -> None:
        with pytest.raises(OSError, match="address already in use"):
            await run_gateway(
                GatewayConfig(port=gateway.port), [], Ports(MemoryPublisher()), asyncio.Event()
            )


def _refuses(url: str) -> bool:
    import socket  # noqa: PLC0415 - only here

    host, _, port = url.removeprefix("http://").partition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) != 0


class TestSources:
    def test_a_key_has_one_source(self) -> None:
        twins = [source(name, "segment", {"write_key": "same"}) for name in ("a", "b")]
        with pytest.raises(ValueError, match="'a' and 'b' have the same key") as error:
            Sources(twins)
        assert "same'" not in str(error.value)

    def test_a_name_has_one_source(self) -> None:
        one = source("a", "line", {"channel_secret": "x"})
        with pytest.raises(ValueError, match="'a'"):
            Sources([one, one])

    def test_keys_of_one_connector_are_no_keys_of_another(self) -> None:
        made = [
            source("a", "segment", {"write_key": "k"}),
            source("b", "touchpoint", {"token": "k"}),
        ]
        sources = Sources(made)
        found = sources.by_key("touchpoint", b"k")
        assert found is made[1]
        assert sources.by_key("line", b"k") is None
