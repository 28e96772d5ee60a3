"""A file of touchpoints, an object a line.

After https://jsonlines.org and docs/channels/csv.md
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from ingest.connectors.jsonl.connector import JsonLines, JsonLinesOptions
from ingest.testing.batch import FileConnectorSuite
from ingest.testing.values import MARK, contents

CONTENTS = contents(Path(__file__).parent / "payloads")
FIRST = CONTENTS["touchpoints"].splitlines(keepends=True)[0]
#: No JSON, no object, no touchpoint, a wrong value, and no UTF-8.
BAD = (
    f'''{{"email": {MARK}
["{MARK}"]
{{"event_id": "{MARK}"}}
'''.encode()
    + FIRST.replace(b"2026-11-19", MARK.encode())
    + FIRST.replace(b"visit-1", b"\xff")
)


class JsonLinesContract(FileConnectorSuite):
    """Touchpoints with and without an id."""

    name = "jsonl"
    file = "touchpoints.jsonl"
    contents = CONTENTS
    broken: ClassVar[dict[str, tuple[bytes, int]]] = {"between good ones": (FIRST + BAD + FIRST, 5)}

    def connector(self) -> JsonLines:
        return JsonLines(JsonLinesOptions())
