"""The mailbox: what messages become, and reading them from a real IMAP server, changing nothing."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.connector import Context, NotNow, Request, Result, Row, original
from ingest.connectors.mailbox.connector import Mailbox, MailboxOptions
from ingest.connectors.mailbox.contract import MESSAGES, PASSWORD, USER, MailboxContract
from ingest.connectors.mailbox.imap_server import CAME_IN
from ingest.files.reader import Batch, BatchSource, SourceReader
from ingest.intake.accept import Accepted, SourcePolicy, accept
from ingest.intake.limits import Limits
from ingest.intake.replay_context import Origins, ReplayContext
from ingest.kit.imap import TIMEOUT_S, _quoted, internal_moment
from ingest.registry import ConnectorError, Registry
from schemas.rejection import Rejection
from schemas.times import now_ms
from schemas.touchpoint import Touchpoint
from tests.support.mail_server import MailServer
from tests.support.proxy import Pass, Proxy, Refuse

NOW_MS = 1_795_248_000_000
CONTEXT = Context("support", NOW_MS)


def mailbox(**options: Any) -> Mailbox:
    given = {"host": "127.0.0.1", "username": USER, "password": PASSWORD, "tls": "none", **options}
    return Mailbox(MailboxOptions(**given))


def request(body: bytes, uid: int = 7) -> Request:
    headers = {"internaldate": CAME_IN, "size": "1234"}
    return Request("POST", f"/mailbox/INBOX/5/{uid}", "", "", headers, body)


def parse(body: bytes, **options: Any) -> list[Result]:
    return list(mailbox(**options).parse(request(body), CONTEXT))


def touch(name: str, **options: Any) -> Touchpoint:
    (found,) = parse(MESSAGES[name], **options)
    assert isinstance(found, Touchpoint), found
    return found


def who(result: Result) -> list[tuple[str, str]]:
    assert isinstance(result, Touchpoint), result
    return [(one.kind, one.value) for one in result.identifiers]


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


def touches(found: list[Result]) -> list[Touchpoint]:
    assert all(isinstance(one, Touchpoint) for one in found), found
    return [one for one in found if isinstance(one, Touchpoint)]


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


# A real server


@pytest.fixture
def folder(mail_server: MailServer, request: pytest.FixtureRequest) -> str:
    name = f"Anfragen & 台北 {abs(hash(request.node.name))}"
    with mail_server.user() as client:
        assert client.create(_quoted(name))[0] == "OK"
    return name


Deliver = Callable[[int], None]


@pytest.fixture
def deliver(mail_server: MailServer, folder: str) -> Deliver:
    def message(number: int) -> None:
        body = f"From: c{number}@example.com\r\nMessage-ID: <m{number}@example.com>\r\n\r\nx"
        mail_server.deliver(body.encode(), _quoted(folder)[1:-1])

    return message


def connected(server: MailServer, folder: str, **options: Any) -> Mailbox:
    return mailbox(folder=folder, **{"port": server.port, **options})


def read(connector: Mailbox, cursor: str | None = None) -> list[Row]:
    return list(connector.rows(cursor, CONTEXT))


def ids(connector: Mailbox, rows: list[Row]) -> list[str]:
    return [
        one.event_id for row in rows for one in touches(list(connector.parse(row.request, CONTEXT)))
    ]


def test_messages_are_read_in_order_and_new_ones_from_the_cursor_on(
    mail_server: MailServer, folder: str, deliver: Deliver
):
    connector = connected(mail_server, folder)
    assert read(connector) == []
    for number in (1, 2, 3):
        deliver(number)
    first = read(connector)
    assert ids(connector, first) == ["m1@example.com", "m2@example.com", "m3@example.com"]
    assert [row.position.progress for row in first] == [1 / 3, 2 / 3, 1]
    assert read(connector, first[-1].position.cursor) == []
    deliver(4)
    assert ids(connector, read(connector, first[-1].position.cursor)) == ["m4@example.com"]
    assert ids(connector, read(connector, first[0].position.cursor)) == [
        f"m{number}@example.com" for number in (2, 3, 4)
    ]


def test_reading_changes_nothing(mail_server: MailServer, folder: str, deliver: Deliver):
    deliver(1)
    mail_server.deliver(MESSAGES["bounce"], _quoted(folder)[1:-1])
    for text in (False, True):
        assert len(read(connected(mail_server, folder, text=text))) == 2
    assert r"\Seen" not in mail_server.flags(_quoted(folder)[1:-1])


def test_of_a_report_all_is_read_and_of_others_the_headers_alone(
    mail_server: MailServer, folder: str
):
    for name in ("inquiry", "bounce"):
        mail_server.deliver(MESSAGES[name], _quoted(folder)[1:-1], CAME_IN)
    connector = connected(mail_server, folder)
    inquiry, bounce = read(connector)
    assert b"When do you open" not in inquiry.request.body
    assert ids(connector, [bounce]) == [
        "20261120072300.B1@mx.own.example:0",
        "20261120072300.B1@mx.own.example:1",
    ]
    (found,) = touches(list(connector.parse(inquiry.request, CONTEXT)))
    assert found.model_dump(exclude={"properties"}) == touch("inquiry").model_dump(
        exclude={"properties"}
    )
    (whole, _) = read(connected(mail_server, folder, text=True))
    assert b"When do you open" in whole.request.body


def test_messages_that_are_gone_are_passed_over(
    mail_server: MailServer, folder: str, deliver: Deliver
):
    connector = connected(mail_server, folder)
    for number in range(1, 6):
        deliver(number)
    rows = read(connector)
    with mail_server.user() as client:
        client.select(_quoted(folder))
        client.uid("STORE", "2,5", "+FLAGS", r"(\Deleted)")
        client.expunge()
    assert ids(connector, read(connector)) == [f"m{n}@example.com" for n in (1, 3, 4)]
    assert read(connector, rows[3].position.cursor) == []


def test_more_messages_than_are_fetched_at_once(
    mail_server: MailServer, folder: str, deliver: Deliver
):
    for number in range(120):
        deliver(number)
    connector = connected(mail_server, folder)
    assert ids(connector, read(connector)) == [f"m{n}@example.com" for n in range(120)]


def test_a_folder_whose_numbers_have_changed_is_read_from_shortly_before_on(
    mail_server: MailServer, folder: str, deliver: Deliver
):
    name = _quoted(folder)[1:-1]
    connector = connected(mail_server, folder)
    old = b"From: a@example.com\r\nMessage-ID: <%s@example.com>\r\n\r\n"
    mail_server.deliver(old % b"old", name, "01-Nov-2026 09:00:00 +0000")
    mail_server.deliver(old % b"last", name, "20-Nov-2026 09:00:00 +0000")
    rows = read(connector)
    assert ids(connector, rows) == ["old@example.com", "last@example.com"]
    mail_server.anew(name)
    for one, day in ((b"old", "01"), (b"last", "20"), (b"new", "21")):
        mail_server.deliver(old % one, name, f"{day}-Nov-2026 09:00:00 +0000")
    again = read(connector, rows[-1].position.cursor)
    assert ids(connector, again) == ["last@example.com", "new@example.com"]
    assert read(connector, again[-1].position.cursor) == []


def test_since_passes_over_what_came_in_before(mail_server: MailServer, folder: str):
    name = _quoted(folder)[1:-1]
    for number, day in enumerate(("18", "19", "20")):
        body = b"From: a@example.com\r\nMessage-ID: <d%d@example.com>\r\n\r\n" % number
        mail_server.deliver(body, name, f"{day}-Nov-2026 12:00:00 +0000")
    connector = connected(mail_server, folder, since="2026-11-19")
    assert ids(connector, read(connector)) == ["d1@example.com", "d2@example.com"]


def test_a_connection_that_is_cut_keeps_what_was_read(
    mail_server: MailServer, folder: str, deliver: Deliver
):
    for number in range(120):
        deliver(number)
    with Proxy(mail_server.host, mail_server.port) as proxy:
        host, _, port = proxy.address.partition(":")
        connector = connected(mail_server, folder, host=host, port=int(port))
        found = reading(connector).batches(None)
        rows = connector.rows(None, CONTEXT)
        first = next(rows)
        proxy.behave(Refuse())
        with pytest.raises(NotNow) as problem:
            list(rows)
        assert problem.value.cause == "unreachable"
        with pytest.raises(NotNow):
            next(found)
        proxy.behave(Pass())
        rest = read(connector, first.position.cursor)
        assert ids(connector, rest) == [f"m{n}@example.com" for n in range(1, 120)]


def reading(connector: Mailbox) -> SourceReader:
    source = BatchSource(connector, SourcePolicy("support"))
    return SourceReader(source, Limits(), now_ms)


def test_a_wrong_password_or_folder_is_refused_without_a_word_of_the_server(
    mail_server: MailServer, folder: str
):
    for options in ({"password": "wrong"}, {"folder": "nothing"}):
        with pytest.raises(NotNow) as problem:
            read(connected(mail_server, **{"folder": folder, **options}))
        assert problem.value.cause == "refused"
        assert USER not in str(problem.value)


def test_nobody_there():
    with pytest.raises(NotNow, match="not reachable: ConnectionRefusedError"):
        read(mailbox(port=1))


# What a server says when it has had enough, which the real one here never does


@contextmanager
def saying(**answers: str) -> Iterator[int]:
    """A server that answers some commands so; its port."""

    class Session(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"* OK ready\r\n")
            while line := self.rfile.readline():
                tag, command, *_ = line.decode().split()
                answer = answers.get(command.upper(), "OK done")
                if command.upper() == "CAPABILITY":
                    self.wfile.write(b"* CAPABILITY IMAP4rev1\r\n")
                if command.upper() == "EXAMINE":
                    self.wfile.write(b"* OK [UIDVALIDITY 1] x\r\n* OK [UIDNEXT 9] x\r\n")
                if answer == "BYE":
                    self.wfile.write(b"* BYE [UNAVAILABLE] try again later\r\n")
                    return
                self.wfile.write(f"{tag} {answer}\r\n".encode())

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("answers", "cause", "retry_after"),
    [
        ({"LOGIN": "NO [LIMIT] Too many simultaneous connections."}, "limited", None),
        ({"LOGIN": "NO [THROTTLED] Rate limit hit."}, "limited", None),
        ({"UID": "NO [OVERQUOTA] Bandwidth limits exceeded"}, "limited", None),
        (
            {"UID": "BAD Request is throttled. Suggested Backoff Time: 299962 milliseconds"},
            "limited",
            299.962,
        ),
        ({"EXAMINE": "BYE"}, "limited", None),
        ({"UID": "NO Something else"}, "refused", None),
    ],
)
def test_limits_are_told_apart_and_their_time_is_kept(
    answers: dict[str, str], cause: str, retry_after: float | None
):
    with saying(**answers) as port, pytest.raises(NotNow) as problem:
        read(mailbox(port=port))
    assert (problem.value.cause, problem.value.retry_after) == (cause, retry_after)


def test_each_wait_is_bounded():
    assert TIMEOUT_S <= 60


def test_a_mailbox_is_read_as_batches_of_records(
    mail_server: MailServer, folder: str, deliver: Deliver
):
    for number in (1, 2):
        deliver(number)
    mail_server.deliver(b"Subject: nobody\r\n\r\n", _quoted(folder)[1:-1])
    (batch,) = reading(connected(mail_server, folder)).batches(None)
    assert isinstance(batch, Batch)
    assert [json.loads(one.value)["lead_value"] for one in batch.accepted] == [
        "c1@example.com",
        "c2@example.com",
    ]
    assert batch.details == [f"{folder}, message 3: From: names no sender (no_identifier)"]
