"""A file of purchases as a till writes them, and the mapping of its columns.

After RFC 4180 and docs/channels/csv.md
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from ingest.connectors.csv.connector import CsvFile, CsvOptions
from ingest.testing.batch import FileConnectorSuite
from ingest.testing.values import MARK, contents

CONTENTS = contents(Path(__file__).parent / "payloads")
MAPPING: dict[str, Any] = {
    "type": {
        "column": "kind",
        "values": {"sale": "order_completed", "return": "order_refunded"},
    },
    "channel": "store",
    "occurred_at": {"column": "sold at", "format": "%Y/%m/%d %H:%M", "zone": "Asia/Tokyo"},
    "identifiers": {"loyalty_id": "card", "email": "mail", "phone": "phone"},
    "value": {"amount": "total", "thousands": ",", "currency": "JPY"},
    "consent": {"marketing": "newsletter"},
}
#: A time, an amount, a customer, a cell, and an encoding that are wrong.
BAD = (
    f"""R-2001,{MARK},Kyoto,sale,L-0042,,,1,,
R-2002,2026/11/19 10:05,Kyoto,sale,L-0042,,,{MARK},,
R-2003,2026/11/19 10:05,Kyoto,sale,,,,300,,{MARK}
R-2004,2026/11/19 10:05,Kyoto,sale,L-0042,,,1,,,{MARK}
R-2005,2026/11/19 10:05,""".encode()
    + b"\xff,sale,L-0042,,,1,,\n"
)
HEADER, FIRST, *_ = CONTENTS["purchases"].splitlines(keepends=True)


class CsvContract(FileConnectorSuite):
    """Purchases, refunds and what the mapping does not translate, named by file and row."""

    name = "csv"
    file = "purchases.csv"
    contents = CONTENTS
    broken: ClassVar[dict[str, tuple[bytes, int]]] = {
        "between good ones": (HEADER + FIRST + BAD + FIRST, 5)
    }
    region = "JP"

    def connector(self) -> CsvFile:
        return CsvFile(CsvOptions.model_validate({"map": MAPPING}))
