"""Incoming e-mails: one rule in every door, whatever the provider tells of the mail."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.connector import Result
from ingest.testing.values import RELAXED, check_results
from schemas.identifiers import IdentityPolicy
from schemas.rejection import Rejection
from schemas.touchpoint import Touchpoint
from tests.support.mail_doors import DOORS, SentMail

doors = pytest.mark.parametrize("door", DOORS)
AGENT, CUSTOMER = "Agent <agent@brand.example>", "Cust <cust@acme.example>"


def opened(door: str, mail: SentMail, **options: Any) -> list[Result]:
    return DOORS[door](mail, **options)


def told(results: list[Result]) -> list[tuple[str, list[str]]]:
    """Return type and customer of each touch, the customer as everybody behind sees it."""
    policy = IdentityPolicy()
    found = []
    for one in results:
        assert isinstance(one, Touchpoint), one
        pairs = [(i.kind, i.value) for i in one.identifiers]
        found.append((one.type, [i.value for i in policy.normalize_all(pairs, None)]))
    return found


def who(door: str, receiver: str = "inbox@brand.example", /, **headers: str) -> list[str]:
    """Return the customers of a mail with these headers; none if it is refused."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    (one,) = opened(door, SentMail(names, receiver=receiver))
    if isinstance(one, Rejection):
        assert one.reason in ("no_identifier", "unsupported"), one
        assert one.payload
        return []
    return told([one])[0][1]


# The company's own addresses


@doors
def test_of_a_form_of_the_company_the_customer_is_who_gets_the_answer(door: str):
    assert who(door, From=AGENT, Reply_To=CUSTOMER) == ["cust@acme.example"]
    assert who(door, From=AGENT, Reply_To=f"{AGENT}, {CUSTOMER}") == ["cust@acme.example"]
    assert who(door, From=CUSTOMER, Reply_To=AGENT) == ["cust@acme.example"]


@doors
def test_a_mail_that_names_only_the_company_is_refused_and_says_so(door: str):
    (refused,) = opened(door, SentMail({"From": AGENT}))
    assert isinstance(refused, Rejection)
    assert refused.detail == "From: is an address of the company's own domain"
    assert "agent@" not in refused.detail
    assert who(door, From=AGENT, Reply_To=AGENT) == []
    assert who(door, From="shop@mail.brand.example") == []
    assert who(door, From="BRAND <INBOX@Brand.Example>") == []


@doors
def test_of_several_senders_the_first_that_is_not_the_company_counts(door: str):
    if door == "postmark":
        pytest.skip("it tells one sender")
    assert who(door, From=f"{AGENT}, {CUSTOMER}") == ["cust@acme.example"]


@doors
def test_google_groups_names_the_writer_in_a_header_of_its_own(door: str):
    found = who(door, From="Cust via Support <support@brand.example>", X_Original_From=CUSTOMER)
    assert found == ["cust@acme.example"]


@doors
def test_the_option_names_other_domains(door: str):
    mail = SentMail({"From": "agent@brand-group.example"})
    assert told(opened(door, mail))[0][1] == ["agent@brand-group.example"]
    (refused,) = opened(door, mail, own_domains=["Brand-Group.example"])
    assert isinstance(refused, Rejection)
    (refused,) = opened(door, mail, own_domains="brand.example, brand-group.example")
    assert isinstance(refused, Rejection)
    wide = opened(door, SentMail({"From": "a@x.bücher.example"}), own_domains=["bücher.example"])
    assert isinstance(wide[0], Rejection)


@doors
@pytest.mark.parametrize(
    "domain",
    [
        "gmail.com",
        "yahoo.co.jp",
        "icloud.com",
        "docomo.ne.jp",
        "ezweb.ne.jp",
        "outlook.fr",
        "qq.com",
    ],
)
def test_a_public_mail_provider_is_nobodys_own_domain(door: str, domain: str):
    shop = f"shop@{domain}"
    assert who(door, shop, From=f"Taro <taro@{domain}>") == [f"taro@{domain}"]
    assert who(door, shop, From=f"Shop <{shop}>", Reply_To=CUSTOMER) == ["cust@acme.example"]
    assert who(door, shop, From=shop) == []


@doors
@pytest.mark.parametrize("host", ["parse", "mg", "inbound", "mail"])
def test_a_host_for_mails_belongs_to_the_domain_above_it(door: str, host: str):
    receiver = f"support@{host}.brand.example"
    assert who(door, receiver, From=AGENT, Reply_To=CUSTOMER) == ["cust@acme.example"]
    assert who(door, receiver, From=AGENT) == []
    assert who(door, "a@lib.univ.example", From="b@univ.example") == ["b@univ.example"]
    assert who(door, f"a@{host}.docomo.ne.jp", From="b@docomo.ne.jp") == ["b@docomo.ne.jp"]


@doors
@pytest.mark.parametrize(
    "service", ["hash@inbound.postmarkapp.com", "x@sandbox123.mailgun.org", "u@parse.sendgrid.net"]
)
def test_where_a_service_took_the_mail_the_headers_tell_the_companys_domain(
    door: str, service: str
):
    if door == "mailbox":
        pytest.skip("it has a user of its own")
    to = "Support <support@brand.example>"
    assert who(door, service, From=AGENT, To=to) == []
    assert who(door, service, From=CUSTOMER, To=to) == ["cust@acme.example"]
    several = {"To": f"{CUSTOMER}, {to}", "Delivered_To": "support@brand.example"}
    assert who(door, service, From=AGENT, **several) == []
    assert who(door, service, From="boss@acme.example", **several) == ["boss@acme.example"]
    assert who(door, service, From="shop@gmail.com", To="shop@gmail.com") == ["shop@gmail.com"]


@doors
def test_other_receivers_do_not_decide_where_the_envelope_does(door: str):
    both = "inbox@brand.example, partner@acme.example"
    assert who(door, From=CUSTOMER, To=both, Cc="boss@acme.example") == ["cust@acme.example"]


# Programs and the mail system


@doors
@pytest.mark.parametrize(
    ("headers", "kind"),
    [
        ({}, "email_received"),
        ({"Auto-Submitted": "no"}, "email_received"),
        ({"Auto-Submitted": "auto-replied (vacation)"}, "email_auto_replied"),
        ({"auto-submitted": "Auto-Replied"}, "email_auto_replied"),
        ({"X-Autoreply": "yes"}, "email_auto_replied"),
        ({"X-Autorespond": "x"}, "email_auto_replied"),
        ({"X-Autoreply": "no"}, "email_received"),
        ({"X-Autogenerated": "Reply"}, "email_auto_replied"),
        ({"Precedence": "auto_reply"}, "email_auto_replied"),
        ({"Auto-Submitted": "auto-generated"}, "email_auto_generated"),
        ({"Precedence": "bulk"}, "email_auto_generated"),
        ({"List-Id": "<l.example>"}, "email_auto_generated"),
        ({"List-Unsubscribe": "<https://l.example>"}, "email_auto_generated"),
    ],
    ids=str,
)
def test_what_programs_send_is_told_apart(door: str, headers: dict[str, str], kind: str):
    mail = SentMail({"From": CUSTOMER, **headers})
    assert told(opened(door, mail)) == [(kind, ["cust@acme.example"])]


def _status(*receivers: str) -> str:
    return "\r\n".join(["Reporting-MTA: dns; mx.example\r\n", *receivers])


GONE = "Final-Recipient: rfc822; gone@acme.example\r\nAction: failed\r\nStatus: 5.1.1\r\n"
SLOW = "Final-Recipient: rfc822; slow@acme.example\r\nAction: delayed\r\nStatus: 4.4.1\r\n"
SYSTEM = "Mail Delivery System <MAILER-DAEMON@mx.example>"


@doors
@pytest.mark.parametrize("kind", ["message/delivery-status", "message/global-delivery-status"])
def test_a_bounce_is_about_its_receivers(door: str, kind: str):
    mail = SentMail({"From": SYSTEM}, [(kind, _status(GONE, SLOW))])
    results = opened(door, mail)
    assert told(results) == [
        ("email_bounced", ["gone@acme.example"]),
        ("email_deferred", ["slow@acme.example"]),
    ]
    assert len({one.event_id for one in results}) == 2
    first = results[0]
    assert isinstance(first, Touchpoint)
    assert (first.direction, first.outcome, first.properties["status"]) == (
        "outbound",
        "permanent",
        "5.1.1",
    )
    assert opened(door, mail) == results


@doors
@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ("Original-Recipient: rfc822; cust@acme.example", "cust@acme.example"),
        ("Original-Recipient: rfc822; cust+40acme.example", "cust@acme.example"),
        ("Original-Recipient: utf-8; j\\x{F6}rg@acme.example", "jörg@acme.example"),
        ("Original-Recipient: utf-8; cust\\x{2B}tag@acme.example", "cust+tag@acme.example"),
        ("Original-Recipient: utf-8; jörg@bücher.example", "jörg@xn--bcher-kva.example"),
        ("Original-Recipient: rfc822; unknown", "gone@acme.example"),
    ],
)
def test_a_forwarded_bounce_counts_for_the_address_that_was_written_to(
    door: str, fields: str, found: str
):
    status = _status(f"{fields}\r\n{GONE}")
    mail = SentMail({"From": SYSTEM}, [("message/global-delivery-status", status)])
    assert told(opened(door, mail)) == [("email_bounced", [found])]


@doors
def test_a_bounce_of_a_mail_that_the_company_forwarded_is_no_customers(door: str):
    status = _status(f"Original-Recipient: rfc822; sales@brand.example\r\n{GONE}")
    (refused,) = opened(door, SentMail({"From": SYSTEM}, [("message/delivery-status", status)]))
    assert isinstance(refused, Rejection)
    assert (refused.reason, refused.detail) == ("no_identifier", "the report: names no receiver")


@doors
def test_a_bounce_without_a_report_names_its_receiver_in_a_header(door: str):
    mail = SentMail({"From": SYSTEM, "X-Failed-Recipients": "gone@acme.example"})
    assert told(opened(door, mail)) == [("email_bounced", ["gone@acme.example"])]
    (refused,) = opened(door, SentMail({"From": "postmaster@acme.example"}))
    assert isinstance(refused, Rejection)


@doors
def test_a_report_of_abuse_is_a_complaint_and_a_decision(door: str):
    text = "Feedback-Type: abuse\r\nVersion: 1\r\nOriginal-Rcpt-To: angry@acme.example\r\n"
    (found,) = opened(
        door, SentMail({"From": "fbl@isp.example"}, [("message/feedback-report", text)])
    )
    assert told([found]) == [("email_complained", ["angry@acme.example"])]
    assert isinstance(found, Touchpoint)
    assert (found.direction, found.consent) == ("inbound", {"marketing": False})


@doors
@pytest.mark.parametrize("said", ["displayed", "deleted", "dispatched"])
def test_a_receipt_tells_whether_a_mail_was_displayed(door: str, said: str):
    text = (
        "Reporting-UA: mail.example\r\nFinal-Recipient: rfc822; cust@acme.example\r\n"
        f"Disposition: manual-action/MDN-sent-manually; {said}\r\n"
    )
    mail = SentMail({"From": CUSTOMER}, [("message/disposition-notification", text)])
    ((kind, found),) = told(opened(door, mail))
    provider = door.partition(" ")[0]
    assert kind == ("email_opened" if said == "displayed" else f"{provider}_disposition_{said}")
    assert found == ["cust@acme.example"]


# Text


@doors
def test_addresses_and_names_in_utf_8(door: str):
    assert who(door, From="山田 <info@exämple.example>") == ["info@xn--exmple-cua.example"]
    assert who(door, From="jörg@acme.example") == ["jörg@acme.example"]
    assert who(door, From=AGENT, Reply_To="Jörg <JÖRG@acme.example>") == ["jörg@acme.example"]


@doors
def test_the_subject_is_read_and_the_time_is_that_of_the_mail(door: str):
    (found,) = opened(door, SentMail({"From": CUSTOMER, "Subject": "在庫"}))
    assert isinstance(found, Touchpoint)
    assert found.subject == "在庫"
    if door != "ses":
        assert found.occurred_at is not None
        assert found.occurred_at.isoformat() == "2026-11-20T13:00:10+09:00"


REPORTS = [
    "message/delivery-status",
    "message/global-delivery-status",
    "message/feedback-report",
    "message/disposition-notification",
    "message/rfc822",
    "text/plain",
]
ODD = st.text(max_size=40) | st.sampled_from(
    ["a@b.example", "<a@b.example>", '"', "multipart/report; report-type=", "=?utf-8?B?!?=", "\r\n"]
)
NAMES = (
    "From", "Reply-To", "To", "Cc", "Delivered-To", "Auto-Submitted", "Precedence", "List-Id",
    "Content-Type", "Message-ID", "Date", "Subject", "X-Failed-Recipients",
)  # fmt: skip


@doors
@RELAXED
@given(
    headers=st.dictionaries(st.sampled_from(NAMES), ODD, max_size=6),
    parts=st.lists(st.tuples(st.sampled_from(REPORTS), ODD), max_size=2),
)
def test_whatever_a_stranger_writes_gives_results(
    door: str, headers: dict[str, str], parts: list[tuple[str, str]]
):
    mail = SentMail({"From": CUSTOMER, **headers}, parts)
    found = opened(door, mail)
    check_results(found)
    assert opened(door, mail) == found
