"""X's webhooks: signature, challenge, and the events of both formats."""

from __future__ import annotations

import base64
import copy
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives.hashes import SHA1

from ingest.connector import Context, Request
from ingest.connectors.x import SIGNATURE, X, XOptions
from ingest.connectors.x.contract import XContract, mac, signed
from ingest.testing.values import RECEIVED_MS, URL, posted
from schemas.rejection import Rejection
from schemas.touchpoint import Touchpoint

PAYLOADS = XContract.payloads
COMPANY = "2244994945"
CUSTOMER = ("x", "3001969357")
HANDLE = ("x", "FuriousCamper")


def with_header(body: bytes, shown: str) -> Request:
    return posted(body, {SIGNATURE: shown})


def connector(**options: Any) -> X:
    return X(XOptions(**{"consumer_secret": "s", **options}))


def parse(body: Any, **options: Any) -> list[Any]:
    request = signed(json.dumps(body).encode())
    return list(connector(**options).parse(request, Context("x", RECEIVED_MS)))


def one(body: Any, **options: Any) -> Any:
    (result,) = parse(body, **options)
    return result


def sample(name: str, **changes: Any) -> Any:
    """The touchpoint of the first event of a payload, with fields of the event changed."""
    body = copy.deepcopy(PAYLOADS[name])
    if "data" in body:
        body["data"]["payload"].update(changes)
    else:
        (events,) = (value for key, value in body.items() if key.endswith("_events"))
        events[0].update(changes)
    return parse(body)[0]


def kinds(touch: Touchpoint) -> set[tuple[str, str]]:
    return {(i.kind, i.value) for i in touch.identifiers}


class TestX(XContract):
    pass


# The signature and the challenge


@pytest.mark.parametrize("prefix", ["", "SHA256=", "sha256:", "sha1=", "sha256=sha256="])
def test_the_algorithm_is_named(prefix: str):
    assert connector().verify(signed(b"{}"), RECEIVED_MS)
    assert not connector().verify(with_header(b"{}", prefix + mac(b"{}", "s")), RECEIVED_MS)


def test_another_algorithm_is_refused():
    for name in ("sha1", "sha256"):
        old = with_header(b"{}", f"{name}={mac(b'{}', 's', SHA1())}")
        assert not connector().verify(old, RECEIVED_MS)


def challenge(query: dict[str, str] | str, **options: Any) -> tuple[int, bytes, str]:
    text = query if isinstance(query, str) else urlencode(query)
    reply = connector(**options).handshake(Request("GET", "/hooks/x", text, URL, {}, b""))
    return reply.status, reply.body, reply.content_type


def test_a_challenge_is_answered_with_its_hmac():
    for token in ("challenge_string", "MTc5NTE1ODAwMA==", "a+b/c-d.e", "1158201444"):
        status, body, kind = challenge({"crc_token": token, "nonce": "x"})
        assert (status, kind) == (200, "application/json")
        assert json.loads(body) == {"response_token": f"sha256={mac(token.encode(), 's')}"}


def test_the_signature_is_that_of_rfc_4231():
    """These are the RFC's own bytes (test case 2), in base64."""
    digest = bytes.fromhex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
    shown = f"sha256={base64.b64encode(digest).decode()}"
    request = with_header(b"what do ya want for nothing?", shown)
    assert connector(consumer_secret="Jefe").verify(request, RECEIVED_MS)
    assert not connector(consumer_secret="jefe").verify(request, RECEIVED_MS)


def test_of_two_secrets_the_first_answers():
    found = challenge({"crc_token": "t"}, consumer_secret=("new", "old"))
    assert json.loads(found[1]) == {"response_token": f"sha256={mac(b't', 'new')}"}


@pytest.mark.parametrize(
    "query", ["", "crc_token=", "crc_token=%ff", "crc_token=a%20b", "token=a", "a=1&" * 500]
)
def test_a_strange_challenge_is_forbidden(query: str):
    assert challenge(query)[:2] == (403, b"")


@pytest.mark.parametrize("body", ['{"for_user_id": "1"}', "[]", "  {}", '"text"', "x" * 513])
def test_a_challenge_signs_no_event(body: str):
    """One secret signs both, and anybody may ask for the answer to a challenge."""
    assert challenge({"crc_token": body})[0] == 403


@pytest.mark.parametrize("body", ["5", "null", "a-challenge", "x" * 512])
def test_a_challenge_is_no_event(body: str):
    status, answer, _ = challenge({"crc_token": body})
    assert status == 200
    forged = with_header(body.encode(), json.loads(answer)["response_token"])
    assert not connector().verify(forged, RECEIVED_MS)


# The map


@pytest.mark.parametrize(
    ("name", "kind", "direction"),
    [
        ("mention", "mention_received", "inbound"),
        ("reply", "comment_received", "inbound"),
        ("long_reply", "comment_received", "inbound"),
        ("repost", "post_shared", "inbound"),
        ("quote", "post_quoted", "inbound"),
        ("our_reply", "comment_sent", "outbound"),
        ("like", "post_liked", "inbound"),
        ("our_like", "x_like", "outbound"),
        ("follow", "account_followed", "inbound"),
        ("unfollow", "account_unfollowed", "inbound"),
        ("our_follow", "x_follow", "outbound"),
        ("block", "account_blocked", "inbound"),
        ("unblock", "account_unblocked", "inbound"),
        ("our_mute", "x_mute", "outbound"),
        ("message", "message_received", "inbound"),
        ("our_message", "message_sent", "outbound"),
        ("typing", "x_direct_message_indicate_typing", "inbound"),
        ("read", "message_read", "inbound"),
        ("activity_mention", "mention_received", "inbound"),
        ("activity_reply", "comment_received", "inbound"),
        ("activity_quote", "post_quoted", "inbound"),
        ("activity_repost", "post_shared", "inbound"),
        ("activity_our_reply", "comment_sent", "outbound"),
        ("activity_like", "post_liked", "inbound"),
        ("activity_our_like", "x_like", "outbound"),
        ("activity_follow", "account_followed", "inbound"),
        ("activity_our_block", "x_block", "outbound"),
        ("activity_message", "message_received", "inbound"),
        ("activity_chat", "message_received", "inbound"),
        ("activity_our_chat", "message_sent", "outbound"),
        ("activity_broadcast_chat", "comment_received", "inbound"),
    ],
)
def test_events_have_their_types(name: str, kind: str, direction: str):
    touch = sample(name)
    assert (touch.channel, touch.type, touch.direction) == ("social", kind, direction)


def test_each_payload_is_in_the_map():
    (marks,) = test_events_have_their_types.pytestmark
    assert {name for name, *_ in marks.args[1]} == set(PAYLOADS)


@pytest.mark.parametrize("name", sorted(PAYLOADS))
def test_the_customer_is_the_other_one(name: str):
    found = [kinds(touch) for touch in parse(PAYLOADS[name])]
    assert found
    for identifiers in found:
        assert CUSTOMER in identifiers
        assert identifiers <= {CUSTOMER, HANDLE}


def test_fields_of_a_post():
    touch = sample("mention")
    assert touch.event_id == "1924465506158878980"
    assert touch.occurred_at == datetime(2026, 11, 20, 7, 0, 1, tzinfo=UTC)
    assert kinds(touch) == {CUSTOMER, HANDLE}
    assert touch.traits == {"name": "Jordan Brinks"}
    assert touch.url == "https://x.com/i/web/status/1924465506158878980"
    assert touch.subject == touch.properties["text"] == "My new @shoes_jp boots"
    assert touch.properties["for_user_id"] == COMPANY


def test_a_date_without_milliseconds_is_read_too():
    assert sample("reply", timestamp_ms=None).occurred_at == sample("reply").occurred_at
    wrong = sample("reply", timestamp_ms=None, created_at="yesterday")
    assert wrong.detail.startswith("tweet_create_events.created_at: ")


def test_a_long_post_is_whole():
    touch = sample("long_reply")
    assert touch.properties["text"].endswith("They are warm. ")
    assert len(touch.properties["text"]) > 280
    assert touch.subject.startswith("@shoes_jp First of all, thank you.")


def test_what_begins_with_the_company_is_a_mention_and_no_reply():
    assert parse(PAYLOADS["mention"])[1].type == "mention_received"


def test_a_repost_of_what_quotes_the_company_is_a_repost_of_the_company():
    ours = PAYLOADS["quote"]["tweet_create_events"][0]["quoted_status"]
    quoting = {**PAYLOADS["quote"]["tweet_create_events"][0], "id_str": "9"}
    assert sample("repost", retweeted_status=quoting).type == "post_shared"
    other = {**ours, "user": {"id_str": "77"}}
    assert sample("repost", retweeted_status=other).type == "x_repost"


def test_fields_of_a_message():
    touch, quick = parse(PAYLOADS["message"])
    assert touch.event_id == "954491830116155412"
    assert kinds(touch) == {CUSTOMER, HANDLE}
    assert touch.properties["text"] == "ブーツの在庫はありますか？"
    assert quick.properties["quick_reply_response"]["metadata"] == "size-42"


def test_a_message_in_an_envelope_is_the_same_as_without():
    body = PAYLOADS["activity_message"]["data"]["payload"]
    plain = one({**body, "for_user_id": COMPANY})
    assert sample("activity_message") == plain


def test_a_relation_is_named_by_whom_and_when():
    """Counts of followers are different at each delivery."""
    again = copy.deepcopy(PAYLOADS["follow"])
    again["follow_events"][0]["source"]["followers_count"] += 1
    assert one(again).event_id == sample("follow").event_id
    ids = {sample(name).event_id for name in ("follow", "unfollow", "our_follow", "block")}
    assert len(ids) == 4
    assert sample("follow", created_timestamp="1795158011000").event_id not in ids


def test_a_customer_who_blocks_the_account_withdraws_consent():
    assert sample("block").consent == {"marketing": False}
    assert one(PAYLOADS["block"], purpose="x_messages").consent == {"x_messages": False}
    for name in ("unblock", "activity_our_block", "unfollow", "our_mute"):
        assert sample(name).consent == {}
    back = copy.deepcopy(PAYLOADS["activity_our_block"])
    payload = back["data"]["payload"]
    payload["source"], payload["target"] = payload["target"], payload["source"]
    assert (one(back).type, one(back).consent) == ("account_blocked", {"marketing": False})


def test_what_opens_a_conversation_is_not_kept():
    assert "to-be-forgotten" not in json.dumps(sample("activity_chat").properties)


# Text as its author wrote it

WRITTEN = "A&amp;B &lt;3 &quot;x&quot; &#39;y&#39; &gt; &amp;lt; &amp;amp; &copy; AT&T"
PLAIN = "A&B <3 \"x\" 'y' > &lt; &amp; &copy; AT&T"


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("mention", {"text": WRITTEN}),
        ("mention", {"full_text": WRITTEN}),
        ("mention", {"extended_tweet": {"full_text": WRITTEN}}),
        ("our_reply", {"text": WRITTEN}),
        ("like", {"favorited_status": {"id_str": "5", "text": WRITTEN}}),
        (
            "message",
            {
                "message_create": {
                    "sender_id": CUSTOMER[1],
                    "target": {"recipient_id": COMPANY},
                    "message_data": {"text": WRITTEN},
                }
            },
        ),
        ("activity_mention", {"text": WRITTEN}),
        ("activity_mention", {"note_tweet": {"text": WRITTEN}}),
        ("activity_reply", {"text": WRITTEN}),
        ("activity_quote", {"text": WRITTEN}),
        ("activity_broadcast_chat", {"message": WRITTEN}),
    ],
    ids=str,
)
def test_entities_are_decoded_once_in_every_text(name: str, changes: dict[str, Any]):
    touch = sample(name, **changes)
    assert touch.properties["text"] == PLAIN
    assert touch.subject in (PLAIN, None)


def test_entities_are_decoded_in_names():
    user = {"id_str": CUSTOMER[1], "name": "Tom &amp; Co", "screen_name": "tom"}
    assert sample("mention", user=user).traits == {"name": "Tom & Co"}
    assert sample("follow", source=user).traits == {"name": "Tom & Co"}
    body = copy.deepcopy(PAYLOADS["message"])
    body["users"] = {CUSTOMER[1]: {"id": CUSTOMER[1], "name": "Tom &amp; Co"}}
    assert parse(body)[0].traits == {"name": "Tom & Co"}
    body = copy.deepcopy(PAYLOADS["activity_like"])
    body["data"]["includes"]["users"] = [{"id": CUSTOMER[1], "name": "Tom &amp; Co"}]
    assert one(body).traits == {"name": "Tom & Co"}


# What is undone is not new


def activity(name: str, **payload: Any) -> Any:
    """What becomes of an event of the X Activity API."""
    data = {"event_uuid": "1", "event_type": name, "filter": {"user_id": COMPANY}}
    return one({"data": {**data, "payload": payload}})


SOURCE = {"source": {"id": CUSTOMER[1]}, "target": {"id": COMPANY}}


@pytest.mark.parametrize(
    ("done", "undone"),
    [
        (("post.mention.create", {"author_id": CUSTOMER[1]}), ("post.delete", None)),
        (("follow.follow", SOURCE), ("follow.unfollow", None)),
        (("mute.mute", SOURCE), ("mute.unmute", None)),
        (("block.block", SOURCE), ("block.unblock", None)),
    ],
    ids=str,
)
def test_what_is_undone_has_a_type_of_its_own(done: Any, undone: Any):
    name, payload = done
    first = activity(name, id="5", **payload)
    second = activity(undone[0], id="5", **payload)
    assert first.type != second.type
    assert kinds(first) == kinds(second) == {CUSTOMER}


def test_a_like_or_post_that_is_taken_back_is_no_new_one():
    author = {"liked_tweet_author_id": "77"}
    assert activity("like.create", **author).type == "x_like"
    assert activity("like.delete", **author).type == "x_like_delete"
    reply = {"author_id": COMPANY, "in_reply_to_user_id": CUSTOMER[1]}
    reply["referenced_tweets"] = [{"type": "replied_to", "id": "4"}]
    assert activity("post.create", **reply).type == "comment_sent"
    assert activity("post.delete", **reply).type == "x_post_delete"
    assert activity("post.delete", author_id=CUSTOMER[1]).type == "post_removed"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("mention", "post_edited"),
        ("reply", "comment_edited"),
        ("quote", "post_edited"),
        ("our_reply", "comment_edited"),
        ("activity_mention", "post_edited"),
        ("activity_reply", "comment_edited"),
        ("activity_quote", "post_edited"),
        ("activity_our_reply", "comment_edited"),
    ],
)
def test_a_later_version_of_a_post_is_no_new_one(name: str, kind: str):
    for versions in (["1", "2"], ["1"]):
        for history in (
            {"edit_history_tweet_ids": versions},
            {"edit_history": {"initial_tweet_id": "1", "edit_tweet_ids": versions}},
        ):
            touch = sample(name, **history)
            assert touch.type == (kind if len(versions) > 1 else sample(name).type)
            assert kinds(touch) == kinds(sample(name))
    for wrong in (5, "x", {}):
        assert sample(name, edit_history_tweet_ids=wrong).type == sample(name).type
        assert sample(name, edit_history=wrong).type == sample(name).type


def test_a_like_is_not_dated_by_the_post_that_was_liked():
    touch = sample("activity_like", timestamp_ms=None, created_at="2020-01-01T00:00:00.000Z")
    assert touch.occurred_at is None


def test_events_that_differ_have_ids_that_differ():
    acts = ("follow", "unfollow", "block", "unblock", "typing", "read", "mention", "like")
    ids = [sample(name).event_id for name in acts]
    assert len(set(ids)) == len(ids)
    assert ids == [sample(name).event_id for name in acts]
    deleted = {"status": {"id": "5", "user_id": CUSTOMER[1]}, "timestamp_ms": "1795158000000"}
    posted = {"id_str": "5", "user": {"id_str": CUSTOMER[1]}, "timestamp_ms": "1795158000000"}
    body = {"for_user_id": COMPANY, "tweet_delete_events": [deleted]}
    assert len({t.event_id for t in parse({**body, "tweet_create_events": [posted]})}) == 2


# Nobody, tomorrow, bad data


@pytest.mark.parametrize("wrong", [5, "x", [5], {"a": 1}, {CUSTOMER[1]: 5}], ids=str)
def test_what_only_helps_costs_no_event(wrong: Any):
    assert one({**PAYLOADS["our_message"], "users": wrong}).type == "message_sent"
    for includes in (wrong, {"users": wrong}, {"users": [{"id": [], "name": wrong}]}):
        body = copy.deepcopy(PAYLOADS["activity_mention"])
        body["data"]["includes"] = includes
        assert one(body).type == "mention_received"


@pytest.mark.parametrize(
    "body",
    [
        {
            "user_event": {
                "revoke": {
                    "date_time": "2026-11-20T09:48:12+00:00",
                    "target": {"app_id": "13090192"},
                    "source": {"user_id": COMPANY},
                }
            }
        },
        {
            "for_user_id": COMPANY,
            "tweet_delete_events": [
                {"status": {"id": "1", "user_id": COMPANY}, "timestamp_ms": "1795158000000"}
            ],
        },
        {
            "for_user_id": COMPANY,
            "tweet_create_events": [{"id_str": "1", "user": {"id_str": COMPANY}, "text": "New"}],
        },
        {"data": {"event_uuid": "1", "event_type": "oauth.revoke", "filter": {}, "payload": {}}},
        {
            "data": {
                "event_uuid": "1",
                "event_type": "post.create",
                "filter": {"user_id": COMPANY},
                "payload": {"id": "1", "author_id": COMPANY, "text": "New"},
            }
        },
        {
            "data": {
                "event_uuid": "1",
                "event_type": "chat.sent",
                "filter": {"user_id": COMPANY},
                "payload": {"sender_id": COMPANY, "conversation_id": "g1"},
            }
        },
    ],
    ids=["revoked", "deleted", "own post", "own app", "own post of today", "group"],
)
def test_what_the_company_does_by_itself_names_no_customer(body: dict[str, Any]):
    refused = one(body)
    assert isinstance(refused, Rejection)
    assert refused.reason == "no_identifier"


def test_another_account_of_the_company_is_no_customer():
    body = PAYLOADS["mention"]
    assert [touch.type for touch in parse(body, accounts=("77",))] == ["mention_received"] * 2
    for refused in parse(body, accounts=("77", CUSTOMER[1])):
        assert refused.reason == "no_identifier"


def test_a_deleted_post_of_a_customer_is_an_event():
    status = {"status": {"id": "5", "user_id": CUSTOMER[1]}, "timestamp_ms": "1795158000000"}
    touch = one({"for_user_id": COMPANY, "tweet_delete_events": [status]})
    assert (touch.type, kinds(touch), touch.event_id) == ("post_removed", {CUSTOMER}, "5:removed")


def test_what_is_not_known_keeps_its_name():
    user = {"id": CUSTOMER[1]}
    touch = one({"for_user_id": COMPANY, "list_member_events": [{"id": "1", "source": user}]})
    assert (touch.type, kinds(touch)) == ("x_list_member", {CUSTOMER})
    event = {"event_uuid": "1", "event_type": "poll.vote", "filter": {"user_id": COMPANY}}
    touch = one({"data": {**event, "payload": {"user": user}}})
    assert (touch.type, kinds(touch)) == ("x_poll_vote", {CUSTOMER})


def test_numbers_that_json_rounds_are_no_ids():
    """Ids are larger than the whole numbers that every JSON reader keeps: the text is taken."""
    rounded = sample("mention", id=1924465506158879000, user={"id": 2.0, "id_str": CUSTOMER[1]})
    assert rounded.event_id == "1924465506158878980"
    assert kinds(rounded) == {CUSTOMER}


@pytest.mark.parametrize("body", [{}, {"for_user_id": COMPANY}, {"users": {}}, {"a_events": None}])
def test_a_body_without_events_is_not_taken(body: dict[str, Any]):
    assert one(body).reason == "unsupported"


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"follow_events": [{}]}, "for_user_id"),
        ({"for_user_id": COMPANY, "follow_events": 5}, "follow_events"),
        ({"for_user_id": COMPANY, "follow_events": [5]}, "follow_events"),
        ({"for_user_id": COMPANY, "follow_events": [{"source": 5}]}, "follow_events.source"),
        (
            {"for_user_id": COMPANY, "favorite_events": [{"user": {"id": []}}]},
            "favorite_events.user.id",
        ),
        (
            {"for_user_id": COMPANY, "direct_message_events": [{"message_create": "x"}]},
            "direct_message_events.message_create",
        ),
        ({"data": 5}, "data"),
        ({"data": {"event_type": None}}, "data.event_type"),
        ({"data": {"event_type": "a", "filter": 5}}, "data.filter"),
    ],
    ids=str,
)
def test_a_wrong_field_is_named(body: dict[str, Any], named: str):
    refused = one(body)
    assert isinstance(refused, Rejection)
    assert refused.detail.startswith(f"{named}: ")


def test_one_bad_event_costs_no_other():
    body = copy.deepcopy(PAYLOADS["message"])
    body["direct_message_events"].insert(1, {"id": []})
    first, refused, last = parse(body)
    assert [first, last] == parse(PAYLOADS["message"])
    assert json.loads(refused.payload)["direct_message_events"] == [{"id": []}]
