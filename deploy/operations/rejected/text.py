"""Output of `touchline rejected` for a person, line by line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from deploy.operations.rejected.assessment import ReplayAssessment
from deploy.operations.rejected.document import RefusalDetails, moment, payload_text
from deploy.operations.rejected.log import Mark, Refusal
from deploy.operations.rejected.replay import SHOWN, Group, GroupKey, Total
from ingest.intake.replay_context import ReplayContext
from schemas.times import rfc3339

#: Bytes of a binary payload that are shown; `--json` has all.
_MOST_BYTES = 4_096
#: Reasons of one group that are shown separately.
_MOST_REASONS = 5
_DETAIL, _HINT = 120, 50
_FORMS = {
    "": "how it came is not known",
    "body": "the body of a request",
    "event": "one event of a request's body",
    "record": "the value of a record",
    "cut": "only its beginning",
}
#: Outcome -> its wording before and after the replay.
_OUTCOMES = {
    "accepted": ("would be accepted", "accepted"),
    "partly": (
        "would be accepted in part, the rest refused anew under ids of its own",
        "accepted in part, the rest is refused anew under ids of its own",
    ),
    "stored": ("there already: would only be marked", "there already"),
    "returned": ("would go back to the topic", "back in the topic"),
    "empty": ("with nothing in it: would only be marked", "with nothing in it"),
}


def listed(counts: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the counts by source and reason, then the newest refusals."""
    if not counts:
        yield "nothing was refused"
        return
    table: list[tuple[str, ...]] = [("refused", "replayed", "source", "connector", "reason")]
    table += [(f"{row['n']:,}", f"{row['replayed']:,}", *map(_name, _of(row))) for row in counts]
    yield from _aligned(table, numbers=2)
    total = sum(row["n"] for row in counts)
    yield ""
    yield f"the newest {len(rows):,} of {total:,}" if len(rows) < total else f"all {total:,}"
    for row in rows:
        where = row["source"] or row["topic"] or "-"
        state = f"  [{row['outcome']} {moment(row['replayed_at'])}]" if row["outcome"] else ""
        yield (
            f"{moment(row['received_at'])}  {row['rejected_id']}  {where}  {row['reason']}: "
            f"{_short(row['detail'])}{state}"
        )


def shown(it: RefusalDetails) -> Iterator[str]:
    """Yield all of one refusal, the payload last."""
    refusal = it.refusal
    yield from _aligned([(f"{name}", value) for name, value in _facts(it)])
    yield ""
    text = payload_text(refusal.payload)
    if text is not None:
        yield text
        return
    yield from _hex(refusal.payload[:_MOST_BYTES])
    if len(refusal.payload) > _MOST_BYTES:
        yield f"and {len(refusal.payload) - _MOST_BYTES:,} more bytes, see --json"


def replayed(total: Total, *, applied: bool) -> Iterator[str]:
    """Yield the result of a replay, or of its dry run."""
    if not total.refusals:
        yield "nothing to replay: nothing was refused, or it was replayed before"
        return
    everything = _some(total.refusals, "refusal")
    if not total.done:
        yield f"of {everything} none would come to anything else now"
    elif applied:
        yield f"replayed {total.done:,} of {everything}"
    else:
        yield f"would replay {total.done:,} of {everything}; give --apply to do it"
    for of, group in sorted(total.groups.items()):
        yield from _group(of, group, applied=applied)
    if total.refusals <= SHOWN:
        yield ""
        for refusal, outcome, why in total.shown:
            what = _OUTCOMES[outcome][applied] if outcome else f"stays: {_short(why, _HINT)}"
            yield f"{rfc3339(refusal.received_ms)}  {refusal.rejected_id}  {what}"


def settled(complete: bool, refused: int, wait_s: float) -> Iterator[str]:
    """Yield whether all sent records have arrived, and the number refused after the gateway."""
    if complete:
        yield "all of it has gone through"
    else:
        yield (
            f"not all of it has gone through after {wait_s:g} s: see that worker and sink run "
            "(touchline_lag_records)"
        )
    if refused:
        was = "was" if refused == 1 else "were"
        yield (
            f"{_some(refused, 'record')} {was} refused by a stage or by ClickHouse meanwhile: see "
            "touchline rejected list"
        )


def _facts(it: RefusalDetails) -> Iterator[tuple[str, str]]:
    refusal = it.refusal
    yield "rejected", refusal.rejected_id
    yield "received", rfc3339(refusal.received_ms)
    if refusal.source:
        yield "source", f"{refusal.source}, connector {refusal.connector}"
    yield "reason", refusal.reason
    yield "detail", plain(refusal.detail)
    if refusal.form == "record" or refusal.topic:
        yield "record", _record(refusal)
    if refusal.request:
        kept = ReplayContext.of(refusal.request)
        headers = "".join(f", {name}: {value}" for name, value in kept.headers.items())
        yield "request", plain(f"{kept.path}{headers}")
        if kept.before + kept.after:
            yield "around it", plain(f"{kept.before.decode()} … {kept.after.decode()}")
    yield "payload", f"{_FORMS[refusal.form]}, {_some(len(refusal.payload), 'byte')}"
    if it.mark is None:
        yield "replayed", "no"
        yield "today", _today(it.assessment)
    else:
        yield "replayed", _mark(it.mark, it.events)


def _record(refusal: Refusal) -> str:
    key = payload_text(refusal.key)
    shown = refusal.key.hex() if key is None else key
    return f"topic {refusal.topic}, partition {refusal.partition}, key {shown}"


def _today(assessment: ReplayAssessment) -> str:
    if not assessment.goes:
        return f"would still be refused: {plain(assessment.why)}"
    if assessment.returned is not None:
        return f"would go back to the topic {assessment.returned.topic}"
    accepted = f"would be accepted: {_some(len(assessment.touches), 'touch', 'touches')}"
    if not assessment.refused:
        return accepted
    return f"{accepted}; {_some(len(assessment.refused), 'event')} of it refused anew"


def _mark(mark: Mark, events: set[str]) -> str:
    said = f"{mark.replayed_at}: {_OUTCOMES[mark.outcome][1]}"
    if mark.topic:
        said += f", topic {mark.topic}"
    if mark.event_ids:
        ids = (
            f"{plain(one)} ({'in touchpoints' if one in events else 'not in touchpoints'})"
            for one in mark.event_ids[:_MOST_REASONS]
        )
        said += f"; {_some(mark.accepted + mark.stored, 'touch', 'touches')}: {', '.join(ids)}"
    return said


def _group(of: GroupKey, group: Group, *, applied: bool) -> Iterator[str]:
    where = f"{_name(of.source)}, {_name(of.connector)}"
    yield f"{where}: {of.reason} ({group.refusals:,})"
    for outcome, count in sorted(group.outcomes.items()):
        touches = ""
        if outcome in ("accepted", "partly"):
            sent = f"{_some(group.accepted, 'touch', 'touches')}"
            touches = f": {sent}" + (f", {group.stored:,} there already" * bool(group.stored))
        yield f"{count:>8,}  {_OUTCOMES[outcome][applied]}{touches}"
    for why, count in group.why.most_common(_MOST_REASONS):
        yield f"{count:>8,}  {'stay' if count > 1 else 'stays'}: {_short(why)}"
    if len(group.why) > _MOST_REASONS:
        rest = sum(count for _, count in group.why.most_common()[_MOST_REASONS:])
        yield f"{rest:>8,}  stay for other reasons"


def _of(row: Mapping[str, Any]) -> GroupKey:
    return GroupKey(row["source"], row["connector"], row["reason"])


def _name(text: str) -> str:
    return text or "-"


def _some(count: int, one: str, many: str = "") -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def _short(text: str, length: int = _DETAIL) -> str:
    text = plain(text)
    return text if len(text) <= length else text[: length - 1] + "…"


def plain(text: str) -> str:
    """Replace characters that would move a terminal's cursor: names of fields are the sender's."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)


def _hex(data: bytes) -> Iterator[str]:
    for start in range(0, len(data), 16):
        row = data[start : start + 16]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        yield f"{start:08x}  {row.hex(' '):<47}  {text}"


def _aligned(rows: Sequence[tuple[str, ...]], numbers: int = 0) -> Iterator[str]:
    """Yield rows as columns; the first `numbers` columns are aligned right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (
            cell.rjust(width) if at < numbers else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join(cells).rstrip()
