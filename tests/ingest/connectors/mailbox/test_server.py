"""SourceReader from a real IMAP server, changing nothing."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from ingest.connector import NotNow
from ingest.connectors.mailbox.contract import MESSAGES, USER
from ingest.connectors.mailbox.imap_server import CAME_IN
from ingest.files.reader import Batch
from ingest.kit.imap import _quoted
from tests.ingest.connectors.mailbox.boxes import (
    CONTEXT,
    connected,
    ids,
    read,
    reading,
    touch,
    touches,
)
from tests.support.mail_server import MailServer
from tests.support.proxy import Pass, Proxy, Refuse


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


def test_a_wrong_password_or_folder_is_refused_without_a_word_of_the_server(
    mail_server: MailServer, folder: str
):
    for options in ({"password": "wrong"}, {"folder": "nothing"}):
        with pytest.raises(NotNow) as problem:
            read(connected(mail_server, **{"folder": folder, **options}))
        assert problem.value.cause == "refused"
        assert USER not in str(problem.value)


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
