"""The assessment of a refusal today: rows as the gateway keeps them, read as configured now."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar

import msgspec
import pytest

from deploy.operations.rejected.assessment import Assessor, ReplayAssessment
from deploy.operations.rejected.log import Refusal
from ingest.connector import Context, Options, Request, Result, WebhookConnector, touchpoint
from ingest.gateway.config import GatewayConfig, Source
from ingest.intake.accept import SourcePolicy
from ingest.intake.limits import Limits
from schemas import messages, topics
from schemas.identifiers import identifier_id
from schemas.rejection import Form, Rejection
from schemas.times import parse_ms
from tests.support import rows
from tests.support.gateway import (
    BASIC,
    BEARER,
    NOW_MS,
    TOKEN,
    TWILIO_TOKEN,
    WRITE_KEY,
    Gateway,
    serving,
    source,
)
from tests.support.gateway_requests import line_signed, store_visit
from tests.support.refusals import refusal_of, refusal_of_topic

LEAD = identifier_id("email", "a@example.com")


def assessor(*given: Source, epoch: int = 1, **limits: Any) -> Assessor:
    return Assessor({one.name: one for one in given}, Limits(**limits), epoch)


async def kept(gateway: Gateway, path: str, body: Any, **options: Any) -> list[Refusal]:
    """Return the refusals that the gateway keeps of a request."""
    await gateway.post(path, body, **options)
    return [refusal_of(row) for row in gateway.rejected]


def ids(assessment: ReplayAssessment) -> list[str]:
    return [one.row.event_id for one in assessment.touches]


class TestOfTheGateway:
    """Refused as the gateway of `tests.support.gateway` does; then something was changed."""

    async def test_a_phone_number_that_needs_a_region(self) -> None:
        without = Source(
            source("crm", "touchpoint", {"token": TOKEN}).connector, SourcePolicy("crm")
        )
        phone = [{"kind": "phone", "value": "03-1234-5678"}]
        async with serving(given=[without]) as gateway:
            events = [store_visit("a", identifiers=phone), store_visit("b")]
            [refusal] = await kept(gateway, "/v1/events", events, headers=BEARER)
        assert refusal.form == "event"
        again = assessor(without).assess(refusal)
        assert not again.goes
        assert again.why.startswith("no_identifier: identifiers: none is left")
        mended = Source(without.connector, SourcePolicy("crm", region="JP"))
        assessment = assessor(mended).assess(refusal)
        [one] = assessment.touches
        assert assessment.goes
        assert (one.row.lead_value, one.row.event_id) == ("+81312345678", "a")
        assert one.row.received_at == "2026-09-21T14:13:20.000Z"
        assert parse_ms(one.row.received_at) == NOW_MS
        assert one.record.key == identifier_id("phone", "+81312345678").encode()
        assert assessor(mended).assess(refusal) == assessment

    async def test_an_event_keeps_what_its_batch_said_for_all(self) -> None:
        """The client's clock is corrected by the batch's sentAt, and its context counts."""
        shop = source("shop", "segment", {"write_key": WRITE_KEY})
        strict = Source(shop.connector, replace(shop.policy, max_event_bytes=300))
        body = {
            "sentAt": "2026-09-21T12:13:20Z",
            "context": {"campaign": {"name": "autumn"}},
            "batch": [
                {"type": "track", "event": "Seen", "userId": "u", "messageId": "m",
                 "timestamp": "2026-09-21T12:03:20Z", "properties": {"long": "x" * 500}},
            ],
        }  # fmt: skip
        async with serving(given=[strict]) as gateway:
            [refusal] = await kept(gateway, "/v1/batch", body, headers=BASIC)
        assert refusal.reason == "too_large"
        async with serving(given=[shop]) as gateway:
            await gateway.post("/v1/batch", body, headers=BASIC)
            [expected] = gateway.accepted
        [one] = assessor(shop).assess(refusal).touches
        assert msgspec.to_builtins(one.row) == expected
        assert (one.row.campaign_name, one.row.occurred_at[:16]) == ("autumn", "2026-09-21T14:03")

    async def test_a_call_that_only_its_path_names(self) -> None:
        shop = source("shop", "segment", {"write_key": WRITE_KEY})
        strict = Source(shop.connector, replace(shop.policy, max_event_bytes=300))
        call = {"userId": "u", "messageId": "m", "properties": {"long": "x" * 500}}
        async with serving(given=[strict]) as gateway:
            [refusal] = await kept(gateway, "/v1/p", call, headers=BASIC)
        assert refusal.form == "body"
        [one] = assessor(shop).assess(refusal).touches
        assert one.row.type == "page_viewed"

    async def test_a_cloud_event_whose_attributes_are_headers(self) -> None:
        headers = {
            "ce-specversion": "1.0", "ce-id": "c-1", "ce-source": "/crm", "ce-type": "t",
            "ce-time": "2026-09-21T10:00:00Z", "content-type": "application/json",
        }  # fmt: skip
        event = store_visit("x", identifiers=[{"kind": "phone", "value": "03-1234-5678"}])
        del event["event_id"]
        crm = source("crm", "touchpoint", {"token": TOKEN})
        without = Source(crm.connector, SourcePolicy("crm"))
        async with serving(given=[without]) as gateway:
            [refusal] = await kept(gateway, "/v1/events", event, headers={**BEARER, **headers})
        assert ids(assessor(crm).assess(refusal)) == ["/crm c-1"]

    async def test_no_key_and_no_signature_is_kept(self) -> None:
        async with serving() as gateway:
            await gateway.post("/v1/events", b"?", headers=BEARER)
            await gateway.post("/v1/track?writeKey=" + WRITE_KEY, b"?")
            await gateway.post("/v1/track", b"?", headers=BASIC)
            body = b'{"events": 1}'
            await gateway.post("/hooks/line", body, headers=line_signed(body))
            requests = [row["request"] for row in gateway.rejected]
        signature = line_signed(body)["X-Line-Signature"]
        assert len(requests) == 4
        for secret in (TOKEN, WRITE_KEY, TWILIO_TOKEN, signature, BASIC["Authorization"]):
            assert not any(secret in request for request in requests)

    async def test_a_batch_that_was_too_long_is_accepted_once_the_limit_is_raised(self) -> None:
        events = [store_visit(f"e{number}") for number in range(3)]
        async with serving(GatewayConfig(port=0, limits=Limits(max_events=2))) as gateway:
            [refusal] = await kept(gateway, "/v1/events", events, headers=BEARER)
        crm = source("crm", "touchpoint", {"token": TOKEN})
        assert not assessor(crm, max_events=2).assess(refusal).goes
        assert ids(assessor(crm).assess(refusal)) == ["e0", "e1", "e2"]

    async def test_a_body_that_was_not_what_its_encoding_said_is_undone_first(self) -> None:
        """Kept as it was sent; a version that understands the encoding reads it."""
        packed = gzip.compress(msgspec.json.encode(store_visit("a")))
        headers = {**BEARER, "Content-Encoding": "br"}
        async with serving() as gateway:
            [refusal] = await kept(gateway, "/v1/events", packed, headers=headers)
        crm = source("crm", "touchpoint", {"token": TOKEN})
        assert refusal.form == "body"
        assert "Content-Encoding" in assessor(crm).assess(refusal).why
        understood = replace(refusal, request=refusal.request.replace('"br"', '"gzip"'))
        assert ids(assessor(crm).assess(understood)) == ["a"]

    async def test_of_what_was_too_large_only_the_beginning_is_there(self) -> None:
        crm = source("crm", "touchpoint", {"token": TOKEN})
        large = store_visit("a", properties={"x": "y" * 600_000})
        bomb = gzip.compress(b" " * 6_000_000)
        async with serving() as gateway:
            for body, more in (
                (b"x" * 6_000_000, {}),
                (large, {}),
                (bomb, {"Content-Encoding": "gzip"}),
            ):
                await gateway.post("/v1/events", body, headers={**BEARER, **more})
            refusals = [refusal_of(row) for row in gateway.rejected]
        assert [refusal.form for refusal in refusals] == ["cut"] * 3
        for refusal in refusals:
            assessment = assessor(crm).assess(refusal)
            assert (assessment.goes, assessment.why) == (False, "only its beginning was kept")

    async def test_what_stands_around_an_event_never_makes_the_row_too_large(self) -> None:
        shared = {"traits": {"x": '"' * 400_000}}
        event = {"type": "track", "event": "E", "properties": {"y": "z" * 200_000}}
        async with serving() as gateway:
            body = {"context": shared, "batch": [event, event]}
            refusals = await kept(gateway, "/v1/batch", body, headers=BASIC)
        assert [refusal.form for refusal in refusals] == ["cut", "cut"]
        assert json.loads(refusals[0].payload) == event


class NoOptions(Options):
    """None."""


class Lines(WebhookConnector):
    """A line an event; `bug` makes it fail. Says nothing of what is around an event."""

    name: ClassVar[str] = "lines"
    doc: ClassVar[str] = "for tests"
    options: ClassVar[type[Options]] = NoOptions
    mended: ClassVar[bool] = False

    def verify(self, request: Request, received_ms: int) -> bool:
        return True

    def parse(self, request: Request, context: Context) -> Iterator[Result]:
        for line in request.body.split(b"\n"):
            if line == b"bug" and not self.mended:
                raise KeyError("a secret value")
            if line.startswith(b"bad"):
                yield Rejection("invalid", "bad", line)
                continue
            yield touchpoint(store_visit(line.decode()), line)


class Mended(Lines):
    """The same without the bug."""

    mended: ClassVar[bool] = True


class Wrong(Mended):
    """A bug in what is asked of it for refusals alone."""

    def around(self, request: Request) -> tuple[bytes, bytes] | None:
        raise KeyError("a secret value")


class TestOfAnyConnector:
    async def keeps(self, connector: WebhookConnector, body: bytes) -> list[Refusal]:
        async with serving(given=[Source(connector, SourcePolicy("lines"))]) as gateway:
            return await kept(gateway, "/hooks/lines", body)

    async def test_a_body_on_which_a_connector_failed_is_read_whole_once_it_is_mended(self) -> None:
        [refusal] = await self.keeps(Lines(), b"a\nbug\nbad\nb")
        assert (refusal.reason, refusal.form) == ("processing_failed", "body")
        same = assessor(Source(Lines(), SourcePolicy("lines"))).assess(refusal)
        assert (same.goes, same.touches, same.refused) == (False, [], [])
        assert same.why == "processing_failed: connector lines failed (KeyError)"
        assessment = assessor(Source(Mended(), SourcePolicy("lines"))).assess(refusal)
        assert ids(assessment) == ["a", "bug", "b"]
        [anew] = [refusal_of_topic(one.value) for one in assessment.refused]
        assert (anew.reason, anew.payload, anew.received_ms) == (
            "invalid", b"bad", refusal.received_ms,
        )  # fmt: skip
        assert anew.rejected_id != refusal.rejected_id
        again = assessor(Source(Mended(), SourcePolicy("lines"))).assess(refusal)
        assert again.refused == assessment.refused

    async def test_an_event_of_a_connector_that_says_nothing_is_read_as_a_body(self) -> None:
        [refusal] = await self.keeps(Mended(), b"a\nbad 1")
        assert refusal.form == ""
        assert not assessor(Source(Mended(), SourcePolicy("lines"))).assess(refusal).goes
        good = replace(refusal, payload=b"good")
        assert ids(assessor(Source(Mended(), SourcePolicy("lines"))).assess(good)) == ["good"]

    async def test_a_bug_in_what_is_asked_for_refusals_costs_none(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        [refusal] = await self.keeps(Wrong(), b"a\nbad 1")
        assert (refusal.payload, refusal.form) == (b"bad 1", "")
        said = capsys.readouterr()
        assert "connector_failed" in said.out + said.err
        assert "a secret value" not in said.out + said.err

    def test_a_source_that_is_gone_or_has_another_connector_is_named(self) -> None:
        row = refusal_of_topic(rows.rejected())
        assert assessor().assess(row).why == "source shop is not configured, or takes no requests"
        other = assessor(source("shop", "touchpoint", {"token": TOKEN})).assess(row)
        assert "has the connector touchpoint now, and this was sent to segment" in other.why


class TestOfOlderVersions:
    """Rows without what a replay needs."""

    def old(self, payload: bytes, connector: str, name: str = "s") -> Refusal:
        row = refusal_of_topic(rows.rejected(form="", request="", source=name))
        return replace(row, payload=payload, connector=connector)

    @pytest.mark.parametrize(
        ("connector", "options", "body", "event"),
        [
            (
                "segment",
                {"write_key": "k"},
                {"batch": [{"type": "page", "userId": "u"}]},
                {"type": "page", "userId": "u"},
            ),
            ("touchpoint", {"token": "t"}, [store_visit("a")], store_visit("a")),
            (
                "line",
                {"channel_secret": "s"},
                {"events": [{"type": "follow", "source": {"userId": "U1"}}]},
                {"type": "follow", "source": {"userId": "U1"}},
            ),
        ],
    )
    def test_a_payload_is_tried_as_a_body_and_as_an_event(
        self, connector: str, options: dict[str, Any], body: Any, event: Any
    ) -> None:
        made = assessor(source("s", connector, options))
        for payload in (body, event):
            assessment = made.assess(self.old(msgspec.json.encode(payload), connector))
            assert len(assessment.touches) == 1

    @pytest.mark.parametrize("connector", ["", "sink"])
    def test_a_record_cannot_go_back_because_its_topic_is_not_known(self, connector: str) -> None:
        assessment = assessor().assess(self.old(b"{}", connector, ""))
        assert "older version, without its topic" in assessment.why


def record(topic: str, value: bytes, key: bytes = b"k", epoch: int = 1, form: Form = "record"):
    row = refusal_of_topic(rows.rejected(source="", connector="", form=form, request=""))
    return replace(row, topic=topic, payload=value, key=key, epoch=epoch)


class TestOfRecords:
    def test_a_touch_goes_back_as_the_touch_it_was_in_whatever_epoch(self) -> None:
        value = rows.touchpoint()
        assessment = assessor(epoch=9).assess(
            record(topics.TOUCHPOINTS.name, value, LEAD.encode(), 1)
        )
        [one] = assessment.touches
        assert (one.record.key, one.record.value) == (LEAD.encode(), value)

    @pytest.mark.parametrize(
        ("topic", "value"),
        [
            (
                topics.TRAILS.name,
                messages.encode(messages.TrailUpdate("i", "email", "a", 1, 2, b"", 3)),
            ),
            (
                topics.LINK_REQUESTS.name,
                messages.encode(messages.LinkRequest("a", "b", "c", "d", "s", "e", 1, 2)),
            ),
            (
                topics.ASSIGNMENTS.name,
                messages.encode(messages.Assignment("i", "email", "a", "p", 1, 2)),
            ),
            (topics.PROFILES.name, rows.profile()),
        ],
    )
    def test_a_derived_record_goes_back_within_its_epoch_only(
        self, topic: str, value: bytes
    ) -> None:
        assessment = assessor(epoch=3).assess(record(topic, value, epoch=3))
        assert assessment.returned is not None
        assert (assessment.returned.topic, assessment.returned.key) == (topic, b"k")
        assert assessment.returned.value == value
        assert assessment.returned.partition == (0 if topic == topics.LINK_REQUESTS.name else None)
        for epoch in (0, 2):
            other = assessor(epoch=3).assess(record(topic, value, epoch=epoch))
            assert "rebuild has computed anew" in other.why

    def test_a_row_of_touches_that_clickhouse_refused_goes_back_in_any_epoch(self) -> None:
        assessment = assessor(epoch=3).assess(
            record(topics.DEDUPLICATED.name, rows.touchpoint(), epoch=1)
        )
        assert assessment.returned is not None

    def test_a_sign_of_life_does_not(self) -> None:
        value = messages.encode(messages.Watermark(1, 2))
        assert "sign of life" in assessor().assess(record(topics.TRAILS.name, value)).why

    @pytest.mark.parametrize(
        "topic",
        [
            topics.TOUCHPOINTS.name,
            topics.TRAILS.name,
            topics.PROFILES.name,
            topics.LINK_REQUESTS.name,
        ],
    )
    def test_what_no_reader_can_read_stays(self, topic: str) -> None:
        assessment = assessor().assess(record(topic, b"\x00\xff"))
        assert f"no record that the topic {topic} can have" in assessment.why

    def test_what_was_cut_stays(self) -> None:
        row = record(topics.TRAILS.name, b"x", form="cut")
        assert assessor().assess(row).why == "only its beginning was kept"
