"""Touches made of messages, and the connector's configuration."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.connector import original
from ingest.connectors.mailbox.contract import MESSAGES, PASSWORD, USER, MailboxContract
from ingest.intake.accept import Accepted, SourcePolicy, accept
from ingest.intake.replay_context import Origins, ReplayContext
from ingest.kit.imap import _quoted, internal_moment
from ingest.registry import ConnectorError, Registry
from schemas.rejection import Rejection
from schemas.touchpoint import Touchpoint
from tests.ingest.connectors.mailbox.boxes import (
    CONTEXT,
    NOW_MS,
    mailbox,
    parse,
    request,
    touch,
    touches,
    who,
)


class TestMailbox(MailboxContract):
    pass


# What messages become


def test_an_inquiry_is_a_message_of_its_sender():
    found = touch("inquiry")
    assert (found.channel, found.type, found.direction) == ("email", "email_received", "inbound")
    assert who(found) == [("email", "Hanako@Example.com")]
    assert found.event_id == "20261120161501.4F2A@mx.example.com"
    assert found.subject == "お問い合わせ"
    assert found.occurred_at is not None
    assert found.occurred_at.isoformat() == "2026-11-20T16:15:00+09:00"
    assert found.properties == {
        "message_id": "20261120161501.4F2A@mx.example.com",
        "in_reply_to": "ticket-77@own.example",
        "references": ["first@own.example", "ticket-77@own.example"],
        "from_name": "山田, 花子",
        "to": ["support@own.example"],
        "size": 1234,
    }


def test_the_text_is_kept_only_if_asked_for():
    assert "text" not in touch("inquiry").properties
    assert touch("inquiry", text=True).properties["text"] == "When do you open?"


def test_of_a_form_on_the_companys_site_the_customer_is_in_reply_to():
    found = touch("form")
    assert (found.type, who(found)) == ("email_received", [("email", "taro@example.org")])


def test_addresses_of_the_own_domain_are_never_identifiers():
    inside = MESSAGES["form"].replace(b"taro@example.org", b"boss@own.example")
    (found,) = parse(inside)
    assert isinstance(found, Rejection)
    assert (found.reason, found.detail) == (
        "unsupported",
        "From: is an address of the company's own domain",
    )
    (other,) = parse(MESSAGES["inquiry"], own_domains=["Example.com"])
    assert isinstance(other, Rejection)
    (kept,) = parse(inside, own_domains=["elsewhere.example"])
    assert who(kept) == [("email", "form@www.own.example")]


def test_answers_and_notices_of_programs_are_told_apart_from_inquiries():
    assert touch("holiday").type == "email_auto_replied"
    assert touch("holiday").properties["auto_submitted"] == "auto-replied (vacation)"
    assert touch("notice").type == "email_auto_generated"
    plain = MESSAGES["inquiry"].replace(b"In-Reply-To", b"Auto-Submitted: no\r\nIn-Reply-To")
    (found,) = parse(plain)
    assert isinstance(found, Touchpoint)
    assert found.type == "email_received"


def test_of_a_bounce_the_customers_are_those_that_it_did_not_reach():
    found = parse(MESSAGES["bounce"])
    told = [(who(one), one.type, one.direction, one.outcome) for one in touches(found)]
    assert told == [
        ([("email", "Gone@Example.com")], "email_bounced", "outbound", "permanent"),
        ([("email", "slow@example.com")], "email_deferred", "outbound", "transient"),
    ]
    ids = [one.event_id for one in touches(found)]
    assert ids == ["20261120072300.B1@mx.own.example:0", "20261120072300.B1@mx.own.example:1"]
    assert touches(found)[0].properties["status"] == "5.1.1"


def test_a_bounce_without_a_report_names_its_receiver_in_a_header():
    message = (
        b"From: Mail Delivery System <Mailer-Daemon@mx.example.net>\r\n"
        b"Message-ID: <b9@mx.example.net>\r\nX-Failed-Recipients: gone@example.com\r\n\r\nx"
    )
    (found,) = touches(parse(message))
    assert (found.type, who(found)) == ("email_bounced", [("email", "gone@example.com")])
    (nobody,) = parse(message.replace(b"X-Failed", b"X-Other"))
    assert isinstance(nobody, Rejection)
    assert (nobody.reason, nobody.detail) == ("no_identifier", "the report: names no receiver")


def test_a_report_of_abuse_is_a_complaint_and_a_decision():
    (found,) = touches(parse(MESSAGES["complaint"]))
    assert (found.type, found.direction, found.consent) == (
        "email_complained",
        "inbound",
        {"marketing": False},
    )
    assert who(found) == [("email", "angry@example.com")]


def test_a_report_of_another_kind_is_kept_under_its_name():
    changed = MESSAGES["bounce"].replace(b"report-type=delivery-status", b"report-type=tlsrpt")
    changed = changed.replace(b"Action: failed", b"Action: something new")
    found = touches(parse(changed))
    assert found[0].type == "mailbox_tlsrpt"


def test_a_message_without_an_id_is_known_by_its_place():
    bare = b"From: a@example.com\r\n\r\n"
    (found,) = touches(parse(bare))
    assert found.event_id == "INBOX/5/7"
    assert found.occurred_at is not None
    assert found.occurred_at.isoformat() == "2026-11-20T16:15:03+09:00"
    long = b"Message-ID: <" + b"x" * 900 + b"@example.com>\r\n" + bare
    (found,) = touches(parse(long))
    assert len(found.event_id) == 64


def test_a_date_that_has_not_come_yet_is_not_believed():
    future = MESSAGES["inquiry"].replace(b"20 Nov 2026", b"20 Nov 2031")
    (found,) = touches(parse(future))
    assert found.occurred_at is not None
    assert found.occurred_at.isoformat() == "2026-11-20T16:15:03+09:00"


def test_a_message_that_names_nobody_is_refused():
    for message in (b"", b"\r\n", b"Subject: x\r\n\r\n", b"From: nobody\r\n\r\n", b"From:\r\n\r\n"):
        (found,) = parse(message)
        if isinstance(found, Touchpoint):
            verdict = accept(found, SourcePolicy("s"), NOW_MS, b"")
            assert isinstance(verdict, Rejection), message
        else:
            assert found.reason == "no_identifier"
            assert found.payload == message


def test_what_is_kept_of_a_message_is_read_again_as_it_was():
    connector = mailbox()
    for name, body in MESSAGES.items():
        asked = request(body)
        origins = Origins("support", connector, asked)
        for result in connector.parse(asked, CONTEXT):
            assert isinstance(result, Touchpoint), name
            origin = origins.of(Rejection("invalid", "", original(result)))
            again = ReplayContext.of(origin.request).request(original(result))
            assert list(connector.parse(again, CONTEXT)) == parse(body), name
            assert PASSWORD not in origin.request


@pytest.mark.parametrize(
    "header",
    [
        b"From: =?x-unknown?B?4pyT?= <a@example.com>",
        b"From: =?utf-8?B?!!!?= <a@example.com>",
        b"From: =?utf-8?B?AAAAA?= <a@example.com>",
        b"From: \xe5\xb1\xb1 <a@example.com>",
        b"From: \xff\xfe <a@example.com>",
        b"From: a@example.com, b@example.com",
        b'From: "a, b" <a@example.com>',
        b"From: (comment) a@example.com",
        b"From: =?utf-7?Q?+2D0-?= <a@example.com>",
    ],
)
def test_headers_as_strangers_write_them(header: bytes):
    (found,) = touches(parse(header + b"\r\nSubject: =?utf-16?B?2D0=?= \xff\r\n\r\n"))
    assert who(found) == [("email", "a@example.com")]
    assert isinstance(accept(found, SourcePolicy("s"), NOW_MS, b""), Accepted)


@given(body=st.binary(max_size=400))
def test_any_bytes(body: bytes):
    _check(body)


@given(data=st.data())
def test_any_change_of_a_message(data: st.DataObject):
    body = MESSAGES[data.draw(st.sampled_from(sorted(MESSAGES)))]
    start = data.draw(st.integers(0, len(body)))
    end = data.draw(st.integers(start, len(body)))
    _check(body[:start] + data.draw(st.binary(max_size=30)) + body[end:])


def test_parts_without_end_are_refused_or_read_never_an_exception():
    nested = b"".join(
        b'Content-Type: multipart/report; boundary="b%d"\r\n\r\n--b%d\r\n' % (n, n)
        for n in range(3000)
    )
    _check(b"From: a@example.com\r\n" + nested)


def _check(body: bytes) -> None:
    for options in ({}, {"text": True}):
        found = parse(body, **options)
        assert found == parse(body, **options)
        for one in found:
            if isinstance(one, Touchpoint):
                accept(one, SourcePolicy("s"), NOW_MS, b"")
            else:
                assert one.payload == body


# Configuration


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"password": ""}, "password: "),
        ({"since": "yesterday"}, "since: "),
        ({"since": "2026-13-01"}, "since: must be a day"),
        ({"tls": "maybe"}, "tls: "),
        ({"every_s": 0}, "every_s: "),
        ({"serve": 1}, "serve is no option"),
    ],
)
def test_a_wrong_configuration_says_what_was_expected(options: dict[str, Any], said: str):
    given = {"host": "imap.example.com", "username": USER, "password": PASSWORD, **options}
    with pytest.raises(ConnectorError) as problem:
        Registry().create("mailbox", given)
    assert said in str(problem.value)
    assert PASSWORD not in str(problem.value)


def test_shows_no_secret():
    connector = mailbox()
    assert PASSWORD not in repr(connector) + repr(vars(connector))


def test_names_of_folders_are_written_as_imap_has_them():
    assert _quoted("INBOX") == '"INBOX"'
    assert _quoted('a "b" \\') == '"a \\"b\\" \\\\"'
    assert _quoted("Q&A 台北") == '"Q&-A &U,BTFw-"'
    assert internal_moment("nonsense") is None
    assert internal_moment(" 1-Feb-2026 00:00:00 +0000") is not None
