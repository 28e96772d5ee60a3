"""Snowplow's tracker protocol: which source, and what events tell."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import pytest
from pydantic import ValidationError

from ingest.connector import Context, KeyedConnector, original
from ingest.connectors.snowplow.connector import PIXEL_PATH, POST_PATH, Snowplow, SnowplowOptions
from ingest.connectors.snowplow.contract import SnowplowContract, request, written
from ingest.intake.replay_context import Origins, ReplayContext
from ingest.registry import ConnectorError, Registry
from ingest.testing.values import RECEIVED_MS
from schemas.rejection import Rejection
from schemas.touchpoint import Touchpoint

DUID = ("anonymous_id", "85094061-f702-4b62-a46d-20f7226b4741")
UID = ("customer_id", "C-42")
DATA_SCHEMA = "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4"
SP = "com.snowplowanalytics.snowplow"
PAYLOADS = SnowplowContract.payloads


def body_of(*events: Any) -> bytes:
    value = {"schema": DATA_SCHEMA, "data": [written(event) for event in events]}
    return json.dumps(value, ensure_ascii=False).encode()


def connector(**options: Any) -> Snowplow:
    return Snowplow(SnowplowOptions(**{"app_ids": ["shop"], **options}))


def parse(*events: Any) -> list[Any]:
    return list(connector().parse(request(body_of(*events)), Context("web", RECEIVED_MS)))


def one(**changes: Any) -> Any:
    (result,) = parse({**PAYLOADS["page"]["data"][0], **changes})
    return result


def sample(name: str, at: int = 0) -> Any:
    return parse(*PAYLOADS[name]["data"])[at]


def ue(name: str, data: Any, vendor: str = SP, entities: Any = None) -> Any:
    event = {
        "schema": f"iglu:{SP}/unstruct_event/jsonschema/1-0-0",
        "data": {"schema": f"iglu:{vendor}/{name}/jsonschema/1-0-0", "data": data},
    }
    return one(e="ue", ue_px=event, cx=entities)


def kinds(touch: Touchpoint) -> list[tuple[str, str]]:
    return [(i.kind, i.value) for i in touch.identifiers]


class TestSnowplow(SnowplowContract):
    pass


# Whose an event is


def test_the_app_id_of_the_first_event_finds_the_source():
    made = connector(app_ids=["shop", "shop-app"])
    assert isinstance(made, KeyedConnector)
    assert made.keys() == (b"aid shop", b"aid shop-app")
    for app_id, found in (("shop", True), ("shop-app", True), ("Shop", False), ("", False)):
        for asked in (
            request(body_of({"e": "pv", "aid": app_id}, {"aid": "other"})),
            request(b"", path=PIXEL_PATH, query=f"e=pv&aid={app_id}"),
        ):
            assert made.verify(asked, RECEIVED_MS) is found


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{}", b"[]", b'{"data": 5}', b'{"data": []}', b'{"data": [5]}', b'{"data": {}}',
        b'{"data": [{"aid": 5}]}', b'{"data": [{"aid": null}]}', b"[" * 100_000, b"\xff",
    ],
)  # fmt: skip
def test_without_an_app_id_there_is_no_source(body: bytes):
    assert Snowplow.key(request(body)) is None
    assert not connector().verify(request(body), RECEIVED_MS)


def test_half_an_emoji_does_not_hide_the_app_id():
    assert Snowplow.key(request(b'{"data": [{"page": "\\ud83d", "aid": "shop"}]}')) == b"aid shop"


def test_a_source_with_a_collector_key_is_found_by_it_alone():
    made = connector(collector_key=["abc", "def"])
    assert made.keys() == (b"key abc", b"key def")
    body = body_of({"e": "pv", "aid": "shop"})
    for url, found in (
        (f"/snowplow/abc{POST_PATH}", True),
        (f"/base/snowplow/def{POST_PATH}", True),
        (f"/snowplow/abcd{POST_PATH}", False),
        (f"/snowplow/shop{POST_PATH}", False),
        (POST_PATH, False),
    ):
        assert made.verify(request(body, url=url), RECEIVED_MS) is found
    pixel = request(b"", path=PIXEL_PATH, url="/snowplow/abc/i", query="e=pv&aid=shop")
    assert made.verify(pixel, RECEIVED_MS)


def test_an_app_id_is_no_collector_key_and_the_other_way_round():
    asked = request(body_of({"e": "pv", "aid": "shop"}), url=f"/snowplow/shop{POST_PATH}")
    assert not connector().verify(asked, RECEIVED_MS)
    told = request(body_of({"e": "pv", "aid": "abc"}))
    assert not connector(collector_key="abc").verify(told, RECEIVED_MS)


@pytest.mark.parametrize("key", ["a/b", "a b", "ä", "a?b"])
def test_a_collector_key_can_stand_in_an_address(key: str):
    with pytest.raises(ConnectorError, match="collector_key: must be of letters") as error:
        Registry().create("snowplow", {"app_ids": "shop", "collector_key": key})
    assert key not in str(error.value)


def test_app_ids_are_required():
    assert SnowplowOptions(app_ids="shop").app_ids == ("shop",)
    for wrong in ({}, {"app_ids": []}, {"app_ids": [""]}, {"app_ids": 5}):
        with pytest.raises(ValidationError):
            SnowplowOptions.model_validate(wrong)


@pytest.mark.parametrize("app_id", ["other", None, "", 5])
def test_an_event_of_another_app_is_refused(app_id: Any):
    refused = one(aid=app_id)
    assert isinstance(refused, Rejection)
    assert refused.detail == "aid: must be an app id of this source"


# The parameters


def test_fields_of_a_page_view():
    touch = sample("page")
    assert (touch.channel, touch.type, touch.direction) == ("web", "page_viewed", "inbound")
    assert touch.event_id == "e0000000-0000-4000-8000-000000000001"
    assert touch.occurred_at == datetime(2026, 11, 20, 4, 5, 7, 123_000, tzinfo=UTC)
    assert touch.sent_at == datetime(2026, 11, 20, 4, 5, 8, tzinfo=UTC)
    assert touch.subject == "ブーツ一覧"
    assert touch.url.startswith("https://shop.example.com/boots?")
    assert kinds(touch) == [UID, DUID]
    assert touch.campaign.model_dump(exclude_none=True) == {
        "name": "秋", "source": "newsletter", "medium": "email",
    }  # fmt: skip
    assert touch.properties["refr"] == "https://search.example.com/"
    assert touch.properties["sid"] == "be9520e7-16a5-4d4e-afa1-8e269f99a1cf"
    assert touch.properties["contexts"] == {
        "web_page": [{"id": "8b7e42ae-3c83-4d0b-bb45-1a5a5a3a1c61"}]
    }
    assert not {"uid", "duid", "cx", "url", "page"} & set(touch.properties)


def test_a_pixel_brings_the_same_event():
    event = PAYLOADS["page"]["data"][0]
    asked = request(b"", path=PIXEL_PATH, query=urlencode(written(event)))
    (touch,) = connector().parse(asked, Context("web", RECEIVED_MS))
    assert touch == sample("page")


def test_what_is_refused_of_a_pixel_can_be_read_again():
    query = urlencode({"e": "pv", "aid": "shop", "duid": "d", "dtm": "soon", "page": "日本"})
    asked = request(b"", path=PIXEL_PATH, query=query)
    (refused,) = connector().parse(asked, Context("web", RECEIVED_MS))
    assert isinstance(refused, Rejection)
    assert json.loads(refused.payload)["page"] == "日本"
    origin = Origins("web", connector(), asked).of(refused)
    again = ReplayContext.of(origin.request).request(refused.payload)
    assert list(connector().parse(again, Context("web", RECEIVED_MS))) == [refused]


def test_a_query_with_far_too_many_parameters_is_no_event():
    asked = request(b"", path=PIXEL_PATH, query="&".join(f"a{n}=1" for n in range(2000)))
    assert Snowplow.key(asked) is None
    (refused,) = connector().parse(asked, Context("web", RECEIVED_MS))
    assert isinstance(refused, Rejection)


def test_who_the_customer_is():
    assert kinds(sample("screen_view")) == [
        ("device_id", "B5372DB0-C21E-11E4-8DFC-AA07A5B093DB"),
        ("device_id", "00000000-0000-0000-0000-000000000000"),
        ("anonymous_id", "7a62ec9d-2aa0-4426-b014-eba2d0dcfebb"),
    ]
    assert kinds(sample("identify"))[:3] == [UID, UID, ("email", "Hanako@Example.com")]
    assert ("email", "hanako@example.com") in kinds(sample("ecommerce", 4))
    network = ("anonymous_id", "ecdff4d0-9175-40ac-a8bb-325c49733607")
    assert kinds(sample("unknown", 2)) == [network]
    guest = {"schema": f"iglu:{SP}.ecommerce/user/jsonschema/1-0-0"}
    guest["data"] = {"id": "g-1", "is_guest": True}  # type: ignore[assignment]
    assert kinds(one(cx={"data": [guest]})) == [UID, DUID]


def test_entities_of_other_vendors_name_nobody():
    own = {"schema": "iglu:com.acme/user/jsonschema/1-0-0", "data": {"id": "x", "email": "a@b.cd"}}
    assert kinds(one(cx={"data": [own]})) == [UID, DUID]


def test_a_pages_address_that_is_none_costs_only_the_campaign():
    touch = one(url="http://[?utm_source=x")
    assert (touch.campaign, touch.url) == (None, "http://[?utm_source=x")
    twice = one(url="https://a.example/?utm_source=first&utm_source=second&utm_term=")
    assert twice.campaign.model_dump(exclude_none=True) == {"source": "first"}


def test_a_true_time_is_not_corrected_by_the_devices_clock():
    touch = sample("unknown", 2)
    assert touch.occurred_at == datetime(2026, 11, 20, 2, 0, tzinfo=UTC)
    assert touch.sent_at is None


def test_an_event_without_an_id_is_named_by_its_content():
    first, second = one(eid=None), one(eid=None, stm="1795147999000")
    assert first.event_id == second.event_id, "sent again"
    assert first.event_id != one(eid=None, dtm="1795147507124").event_id


# The types


@pytest.mark.parametrize(
    ("name", "types"),
    [
        ("page", ["page_viewed", "page_pinged"]),
        ("structured", ["snowplow_video_play_video", "document_downloaded"]),
        ("transaction", ["order_completed", "product_purchased"]),
        ("link_click", ["link_clicked"]),
        ("submit_form", ["form_submitted"]),
        ("site_search", ["search_performed"]),
        ("own", ["snowplow_viewed_product"]),
        ("screen_view", ["screen_viewed"]),
        (
            "app",
            ["app_installed", "deep_link_opened", "push_received", "app_opened", "app_left"],
        ),
        ("consent", ["consent_updated"]),
        ("consent_documents", ["consent_granted", "consent_withdrawn"]),
        ("identify", ["identified"]),
        (
            "ecommerce",
            [
                "product_viewed", "product_list_viewed", "product_added",
                "checkout_step_completed", "order_completed", "order_refunded", "payment_failed",
            ],
        ),
        ("unknown", ["snowplow_ad", "snowplow_play_event", "page_viewed"]),
    ],
)  # fmt: skip
def test_events_have_their_types(name: str, types: list[str]):
    assert [touch.type for touch in parse(*PAYLOADS[name]["data"])] == types


def test_own_events_that_we_know_have_our_types():
    data = {"revenue": 12.5, "currency": "EUR"}
    touch = ue("order_completed", data, "com.acme")
    assert (touch.channel, touch.type) == ("commerce", "order_completed")
    assert (touch.value.amount, touch.value.currency) == (Decimal("12.5"), "EUR")
    assert ue("store_visited", {}, "com.acme").channel == "store"
    assert touch.properties["event_vendor"] == "com.acme"


def test_a_long_name_is_cut():
    assert len(one(e="se", se_ca="c" * 900, se_ac="a").type) == 128


def test_orders_and_their_amounts():
    order = sample("transaction")
    assert (order.channel, order.value.amount, order.value.currency) == (
        "commerce",
        Decimal(12500),
        "JPY",
    )
    assert order.properties["tr_id"] == "A-1001"
    assert sample("transaction", 1).value is None, "the order has counted it"
    paid = sample("ecommerce", 4)
    assert (paid.value.amount, paid.value.currency) == (Decimal("12500.5"), "JPY")
    back = sample("ecommerce", 5)
    assert (back.direction, back.value.amount) == ("outbound", Decimal(500))
    assert sample("ecommerce", 6).outcome == "card_declined"


def test_what_events_are_about():
    assert sample("screen_view").subject == "店舗一覧"
    assert sample("submit_form").subject == "seminar"
    assert sample("site_search").subject == "boots red"
    assert sample("app", 1).url == "shop://boots/9"
    assert sample("app", 2).subject == "セール"
    assert sample("link_click").properties["targetUrl"] == "https://partner.example.com/"


# Consent


@pytest.mark.parametrize(
    ("event", "consent"),
    [
        ("allow_all", {"necessary": True, "ads": True}),
        ("allow_selected", {"necessary": True, "ads": True}),
        ("implicit_consent", {"necessary": True, "ads": True}),
        ("deny_all", {"marketing": False, "necessary": False, "ads": False}),
        ("withdrawn", {"necessary": False, "ads": False}),
        ("expired", {"necessary": False, "ads": False}),
        ("pending", {}),
    ],
)
def test_preferences_are_consent(event: str, consent: dict[str, bool]):
    touch = ue("consent_preferences", {"eventType": event, "consentScopes": ["necessary", "ads"]})
    assert (touch.consent, touch.outcome) == (consent, event)


def test_documents_and_check_boxes_are_consent():
    assert sample("consent_documents").consent == {"newsletter": True}
    assert sample("consent_documents", 1).consent == {"newsletter": False}
    assert ue("consent_withdrawn", {"all": True}).consent == {"marketing": False}
    assert sample("ecommerce", 3).consent == {"marketing": True}


# Bad data


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"e": None}, "e"),
        ({"e": "..."}, "e"),
        ({"e": "se"}, "se_ac"),
        ({"e": "ue"}, "ue_px"),
        ({"e": "ue", "ue_px": "%%%"}, "ue_px"),
        ({"e": "ue", "ue_px": "bm8ganNvbg"}, "ue_px"),
        ({"e": "ue", "ue_pr": "no json"}, "ue_pr"),
        ({"e": "ue", "ue_px": {"data": {"data": {}}}}, "ue_px.data.schema"),
        ({"e": "ue", "ue_px": {"data": {"schema": "page", "data": {}}}}, "ue_px.data.schema"),
        ({"cx": "%%%"}, "cx"),
        ({"cx": None, "co": "[1]"}, "co"),
        ({"cx": {"data": [5]}}, "contexts"),
        ({"cx": {"data": [{"schema": "x"}]}}, "contexts.data.0.schema"),
        ({"cx": {"data": {}}}, "cx.data"),
        ({"dtm": "yesterday"}, "dtm"),
        ({"dtm": "-5"}, "dtm"),
        ({"dtm": "9" * 15}, "dtm"),
        ({"e": "tr", "tr_tt": "a lot"}, "tr_tt"),
        ({"e": "tr", "tr_tt": "5", "tr_cu": "yen!"}, "tr_cu"),
        ({"uid": []}, "uid"),
        ({"eid": {}}, "eid"),
    ],
    ids=str,
)
def test_a_wrong_parameter_is_named(changes: dict[str, Any], named: str):
    refused = one(**changes)
    assert isinstance(refused, Rejection)
    assert refused.detail.startswith(f"{named}: ")


def test_of_a_batch_the_good_part_is_taken():
    good, bad = PAYLOADS["page"]["data"]
    first, second, third = parse(good, {**bad, "dtm": "x"}, 5)
    assert isinstance(first, Touchpoint)
    assert (second.reason, second.event_id) == ("invalid", bad["eid"])
    assert third.payload == b"5"


def test_an_event_of_nobody_is_told():
    refused = one(uid=None, duid=None)
    assert (refused.reason, refused.event_id) == (
        "no_identifier",
        "e0000000-0000-4000-8000-000000000001",
    )


def test_base64_with_and_without_padding_of_both_alphabets():
    event = {"schema": "x", "data": {"schema": "iglu:com.acme/a/jsonschema/1-0-0", "data": {}}}
    event["data"]["data"] = {"text": "ÿþ?>~" * 3}  # type: ignore[index]
    raw = json.dumps(event, ensure_ascii=False).encode()
    for text in (
        base64.b64encode(raw).decode(),
        base64.urlsafe_b64encode(raw).decode(),
        base64.urlsafe_b64encode(raw).decode().rstrip("="),
    ):
        assert one(e="ue", ue_px=text).properties["text"] == "ÿþ?>~" * 3


def test_original_of_an_event_is_the_event():
    touch = sample("structured")
    assert json.loads(original(touch))["se_ac"] == "play-video"
