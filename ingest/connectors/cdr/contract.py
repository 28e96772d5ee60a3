"""A telephone system's side: Asterisk's Master.csv, with and without the columns that it may have.

After https://docs.asterisk.org/Configuration/Reporting/Call-Detail-Records-CDR/CDR-Specification/
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from ingest.connectors.cdr.connector import Cdr, CdrOptions
from ingest.testing.batch import FileConnectorSuite
from ingest.testing.values import MARK, contents

CONTENTS = contents(Path(__file__).parent / "payloads")
FIRST = CONTENTS["calls"].splitlines(keepends=True)[0]


def _another(number: int) -> bytes:
    """Return the first record as one of another call."""
    return FIRST.replace(b"1763630100.66", b"1763630100.9%d" % number)


#: A call within the company, one of nobody, a time that is wrong, and a row that is cut off.
BAD = (
    _another(1).replace(b'"0312345678"', b'"202"')
    + _another(2).replace(b'"0312345678"', b'"anonymous"')
    + _another(3).replace(b"2026-11-19 09:15:00", MARK.encode())
    + FIRST[: len(FIRST) // 2]
    + b'"\n'
)


class CdrContract(FileConnectorSuite):
    """Calls that came in and went out, answered and not."""

    name = "cdr"
    file = "Master.csv"
    contents = CONTENTS
    broken: ClassVar[dict[str, tuple[bytes, int]]] = {
        "between good ones": (FIRST + BAD + _another(4), 4)
    }
    region = "JP"

    def connector(self) -> Cdr:
        return Cdr(CdrOptions(zone="Asia/Tokyo"))
