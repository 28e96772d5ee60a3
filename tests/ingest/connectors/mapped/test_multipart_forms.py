"""Forms that a mapped source takes: URL-encoded and multipart ones are the same."""

from __future__ import annotations

from urllib.parse import urlencode

from ingest.connector import Context
from ingest.connectors.mapped.connector import Mapped, MappedOptions
from ingest.testing.values import RECEIVED_MS, posted
from tests.ingest.connectors.mapped.mappings import TOKEN
from tests.support.mail_doors import FORM, multipart

MAPPING = {
    "type": "form_submitted",
    "channel": "web",
    "identifiers": {"email": "data.email"},
    "event_id": "id",
}
FIELDS = {"data[email]": "ada@example.com", "id": "f-1", "note": "山"}


def test_a_form_with_files_is_read_as_one_without():
    connector = Mapped(MappedOptions.model_validate({"signature": TOKEN, "mapping": MAPPING}))
    context = Context("forms", RECEIVED_MS)
    encoded = posted(urlencode(FIELDS).encode(), {"content-type": FORM})
    (plain,) = connector.parse(encoded, context)
    (found,) = connector.parse(multipart(FIELDS, [("text/plain", "a file")]), context)
    assert found == plain
    (broken,) = connector.parse(multipart(FIELDS)._replace(body=b"--xYz"), context)
    assert broken.reason == "unreadable"
