"""Call detail records as CSV, a leg of a call a row: Asterisk's columns unless others are named.

Source: https://docs.asterisk.org/Configuration/Reporting/Call-Detail-Records-CDR/CDR-Specification/
(fields, dispositions), and of Asterisk's sources cdr/cdr_csv.c (order of Master.csv) and
configs/samples/cdr_custom.conf.sample (fields in any order). See docs/channels/cdr.md.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Annotated, Any, BinaryIO, ClassVar, Literal

from pydantic import AfterValidator, Field, StringConstraints

from ingest.connector import Context, Options, Request, Result, Row
from ingest.connectors.cdr.calls import Leg, LegIndex, one_touch_a_call
from ingest.kit.fields import finish, identifiers, snake_case
from ingest.kit.lines import Start, file_of
from ingest.kit.mapping import Cell, Time
from ingest.kit.mapping_terms import ISO
from ingest.kit.mapping_yaml import time_format, time_zone
from ingest.kit.table_connector import RowCells, Table, TableOptions
from ingest.kit.tables import Dialect
from schemas.phone_numbers import phone_number
from schemas.rejection import Rejection

#: Master.csv as cdr_csv writes it; the columns from uniqueid on depend on cdr.conf.
ALWAYS = (
    "accountcode", "src", "dst", "dcontext", "clid", "channel", "dstchannel", "lastapp",
    "lastdata", "start", "answer", "end", "duration", "billsec", "disposition", "amaflags",
)  # fmt: skip
MASTER = (*ALWAYS, "uniqueid", "userfield", "peeraccount", "linkedid", "sequence")
#: Name of the start in databases.
CALLDATE = "calldate"
_NEEDED = ("src", "dst", "disposition")
#: Disposition, as a word or as the number that cdr_custom writes on demand -> (type, outcome).
DISPOSITIONS = {
    "answered": ("call_completed", "answered"),
    "no_answer": ("call_missed", "no_answer"),
    "noanswer": ("call_missed", "no_answer"),
    "busy": ("call_missed", "busy"),
    "failed": ("call_missed", "failed"),
    "congestion": ("call_missed", "failed"),
    "0": ("call_missed", "no_answer"),
    "2": ("call_missed", "failed"),
    "4": ("call_missed", "busy"),
    "8": ("call_completed", "answered"),
    "16": ("call_missed", "failed"),
}
#: The application with which a caller leaves a message: a machine took the call.
_VOICEMAIL = "voicemail"
#: Columns with fields of their own in a touchpoint.
_MAPPED = frozenset({"start", CALLDATE, "billsec", "uniqueid"})
_PHONE = re.compile(r"\+?\d{6,15}", re.ASCII)
_BETWEEN = re.compile(r"[\s().\-]")
#: Texts that stand for a number that the caller withheld.
_WITHHELD = frozenset(
    {"", "anonymous", "unknown", "unavailable", "private", "restricted", "withheld", "<unknown>"}
)
Direction = Literal["inbound", "outbound", "internal"]
Party = Literal["customer", "own", "withheld"]


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error:
        raise ValueError("must be a regular expression") from None
    return text


def _names(given: tuple[str, ...] | None) -> tuple[str, ...] | None:
    if given is not None:
        absent = [name for name in _NEEDED if name not in given]
        if not {"start", CALLDATE} & {*given}:
            absent.append("start")
        if absent:
            raise ValueError(f"must have {', '.join(absent)}")
    return given


Text = Annotated[str, StringConstraints(min_length=1)]


class CdrOptions(TableOptions):
    """`columns`: the names of the columns in their order, by Asterisk's names; without, those of
    Master.csv. `header`: the first line names them.

    `zone` and `format` are those of the times. The direction of a call comes from the first option
    that determines it: `contexts` (patterns of dcontext → inbound, outbound or internal),
    `trunks` (prefixes of the names of channels to the outside), `own_numbers` (of the company), and
    `extensions` (the pattern of numbers within the company).

    `call_column`: the column whose value the records of one call have in common; without, linkedid,
    and where that is missing uniqueid.
    """

    columns: Annotated[tuple[Text, ...] | None, AfterValidator(_names)] = None
    header: bool = False
    zone: Annotated[str, AfterValidator(lambda zone: time_zone(zone, "zone").key)] = "UTC"
    format: Annotated[str | None, AfterValidator(lambda it: it and time_format(it, "format"))] = (
        None
    )
    contexts: dict[str, Direction] = Field(default_factory=dict)
    trunks: tuple[Text, ...] = ()
    own_numbers: tuple[Text, ...] = ()
    extensions: Annotated[str, AfterValidator(_pattern)] = r"\d{1,5}"
    call_column: Text | None = None


class Cdr(Table):
    """A file of call detail records."""

    name: ClassVar[str] = "cdr"
    doc: ClassVar[str] = "Phone: call detail records as CSV, Asterisk's by default"
    options: ClassVar[type[Options]] = CdrOptions

    def __init__(self, options: CdrOptions) -> None:
        dialect = Dialect(options.encoding, options.delimiter)
        names = None if options.header else options.columns or MASTER
        least = len(ALWAYS) if names is MASTER else None
        super().__init__(dialect, names, least=least)
        zone = time_zone(options.zone, "zone")
        self._times = {
            name: Time(Cell((name,)), options.format or ISO, zone) for name in ("start", CALLDATE)
        }
        self._options = options
        self._own = frozenset(map(_international, options.own_numbers))
        self._extension = re.compile(options.extensions)

    def wanted(self) -> frozenset[str]:
        """See `Table`."""
        column = self._options.call_column
        return frozenset((*_NEEDED, column) if column else _NEEDED)

    def rows(self, cursor: str | None, context: Context) -> Iterator[Row]:
        """See `RowConnector`: the records of a call are one row, where its last one is.

        So an import that was broken off, or a file that has grown, finds all records of each call
        that is still to come, those before the cursor too.
        """
        file, start = file_of(context), Start.of(cursor)
        if start.offset >= file.size:
            yield from super().rows(cursor, context)
            return
        with LegIndex(self._legs(context)) as index, file.path.open("rb") as opened:
            several = index.of_several(after=start.row)
            coming = next(several, None)
            for row in super().rows(cursor, context):
                if coming is None or Start.of(row.position.cursor).row != coming[0]:
                    yield row
                    continue
                _, call, is_last = coming
                coming = next(several, None)
                if is_last:
                    yield self._whole(row, index.legs(call), opened)

    def _legs(self, context: Context) -> Iterator[tuple[str, Leg]]:
        """Yield the records of the file that have the id of a call."""
        for row in super().rows(None, context):
            call = self._call(row)
            if call is not None:
                end = Start.of(row.position.cursor)
                length = len(row.request.body) - len(self.around(row.request)[0])
                yield call, Leg(end.row, end.offset - length, end.offset)

    def _call(self, row: Row) -> str | None:
        """Return the id of a row's call."""
        if row.problem is not None:
            return None
        names, head = self._header_of(row.request.body)
        try:
            (cells,) = self._dialect.cells(row.request.body[head:])
        except (UnicodeDecodeError, csv.Error, ValueError):
            return None
        found = {name: cell.strip() for name, cell in zip(names or (), cells, strict=False)}
        if column := self._options.call_column:
            return found.get(column) or None
        return found.get("linkedid") or found.get("uniqueid") or None

    def _whole(self, last: Row, legs: list[Leg], opened: BinaryIO) -> Row:
        """Return the row of a call: all of its records."""
        body, _ = self.around(last.request)
        for leg in legs:
            opened.seek(leg.start)
            body += opened.read(leg.end - leg.start)
        return last._replace(request=last.request._replace(body=body))

    def parse(self, request: Request, context: Context) -> Iterator[Result]:
        """See `RowConnector`: the records of a call become one touch."""
        legs = list(super().parse(request, context))
        if len(legs) == 1:
            yield legs[0]
        else:
            body = request.body[len(self.around(request)[0]) :]
            yield from one_touch_a_call(legs, self._options.call_column, body)

    def touch(self, row: dict[str, str], event_id: str, payload: bytes, context: Context) -> Result:
        """Return the leg of a row."""
        direction = self._direction(row)
        if direction == "internal":
            detail = "src, dst: is a call within the company"
            return Rejection("unsupported", detail, payload, _event_id(row))
        if direction is None:
            detail = (
                "src, dst: do not tell who is the customer; name own_numbers, trunks or contexts"
            )
            return Rejection("unsupported", detail, payload, _event_id(row))
        who = "src" if direction == "inbound" else "dst"
        number = row.get(who, "")
        if self._party(number) != "customer":
            number = ""
        problems: list[str] = []
        disposition = snake_case(row.get("disposition", ""))
        if not disposition:
            problems.append("column disposition: is empty")
        kind, outcome = DISPOSITIONS.get(disposition) or (f"cdr_call_{disposition}", disposition)
        if outcome == "answered" and row.get("lastapp", "").casefold() == _VOICEMAIL:
            kind, outcome = "call_missed", "voicemail"
        spoke = outcome != "voicemail"
        used = _MAPPED if spoke else _MAPPED - {"billsec"}
        time = self._times["start" if "start" in row or CALLDATE not in row else CALLDATE]
        fields: dict[str, Any] = {
            "event_id": _event_id(row) or event_id,
            "channel": "phone",
            "type": kind,
            "direction": direction,
            "identifiers": identifiers(("phone", _number(number) if number else None)),
            "occurred_at": time.moment(RowCells(row), problems),
            "duration_s": row.get("billsec") if spoke else None,
            "outcome": outcome,
            "properties": {name: text for name, text in row.items() if name not in used},
        }
        names = {"duration_s": "column billsec", "event_id": "column uniqueid"}
        nobody = f"column {who}: is no number of a customer"
        return finish(fields, problems, lambda: payload, names, nobody)

    def _direction(self, row: dict[str, str]) -> Direction | None:
        """Return the direction of a call; None if nothing determines it."""
        for found in (self._by_context(row), self._by_trunk(row)):
            if found is not None:
                return found
        caller, called = self._party(row.get("src", "")), self._party(row.get("dst", ""))
        if caller == "own":
            return "outbound" if called == "customer" else "internal"
        return "inbound" if called == "own" else None

    def _by_context(self, row: dict[str, str]) -> Direction | None:
        context = row.get("dcontext", "")
        found = self._options.contexts.items()
        return next((way for pattern, way in found if fnmatchcase(context, pattern)), None)

    def _by_trunk(self, row: dict[str, str]) -> Direction | None:
        trunks = self._options.trunks
        if not trunks:
            return None
        if row.get("channel", "").startswith(trunks):
            return "inbound"
        return "outbound" if row.get("dstchannel", "").startswith(trunks) else None

    def _party(self, number: str) -> Party:
        """Classify a number: the company's is an own number, an extension or only a name."""
        if number.casefold() in _WITHHELD:
            return "withheld"
        plain = _number(number)
        own = _international(number) in self._own
        if own or self._extension.fullmatch(plain) or not _PHONE.fullmatch(plain):
            return "own"
        return "customer"


def _number(text: str) -> str:
    """Return a number without the characters between its digits."""
    return _BETWEEN.sub("", text)


@lru_cache(maxsize=4096)
def _international(text: str) -> str:
    """Return a number that has its country's code in normal form, any other plain."""
    return phone_number(text, None) or _number(text)


def _event_id(row: dict[str, str]) -> str | None:
    """Return the id of the caller's channel, with the record's number if a call has several."""
    unique = row.get("uniqueid")
    sequence = row.get("sequence")
    return f"{unique}-{sequence}" if unique and sequence else unique
