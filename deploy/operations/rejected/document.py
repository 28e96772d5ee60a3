"""Output of `touchline rejected` for programs."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import msgspec

from deploy.operations.rejected.assessment import ReplayAssessment
from deploy.operations.rejected.log import Mark, Refusal
from deploy.operations.rejected.replay import Total
from ingest.intake.replay_context import ReplayContext
from schemas.times import rfc3339

_READABLE = frozenset("\t\n\r")


@dataclass(frozen=True, slots=True)
class RefusalDetails:
    """A refusal, the result of its replay, and its events that the views show."""

    refusal: Refusal
    mark: Mark | None
    #: The outcome that a replay today would have.
    assessment: ReplayAssessment
    events: set[str]


def listed(
    counts: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return counts by source, connector and reason, and the newest refusals."""
    times = ("first", "last", "received_at", "replayed_at")

    def told(row: Mapping[str, Any]) -> dict[str, Any]:
        return {name: moment(it) if name in times else it for name, it in row.items()}

    return {"counts": [told(row) for row in counts], "rejected": [told(row) for row in rows]}


def shown(it: RefusalDetails) -> dict[str, Any]:
    """Return one refusal completely. The payload is base64, and also text if it is readable."""
    refusal, assessment = it.refusal, it.assessment
    fields = asdict(refusal)
    for name in ("payload", "key", "received_ms", "request"):
        fields.pop(name)
    replay = None
    if it.mark is not None:
        replay = msgspec.to_builtins(it.mark) | {"shown": sorted(it.events)}
        del replay["rejected_id"], replay["received_at"]
    return fields | {
        "received_at": rfc3339(refusal.received_ms),
        "request": _request(refusal),
        "key": payload_text(refusal.key),
        "key_base64": _base64(refusal.key),
        "payload": payload_text(refusal.payload),
        "payload_base64": _base64(refusal.payload),
        "replay": replay,
        "today": {
            "replayable": assessment.goes and it.mark is None,
            "accepted": len(assessment.touches),
            "refused": len(assessment.refused),
            "returned_to": assessment.returned.topic if assessment.returned else None,
            "why": assessment.why,
        },
    }


def replayed(total: Total, *, applied: bool) -> dict[str, Any]:
    """Return the result of a replay, or of its dry run."""
    return {
        "applied": applied,
        "refusals": total.refusals,
        "replayed": total.done if applied else 0,
        "replayable": total.done,
        "stay": total.stays,
        "by": [
            {
                **of._asdict(),
                "refusals": group.refusals,
                "outcomes": dict(group.outcomes),
                "touches_accepted": group.accepted,
                "touches_stored": group.stored,
                "stay": [{"why": why, "refusals": n} for why, n in group.why.most_common()],
            }
            for of, group in sorted(total.groups.items())
        ],
        "first": [
            {"rejected_id": refusal.rejected_id, "outcome": outcome, "why": why}
            for refusal, outcome, why in total.shown
        ],
    }


def payload_text(data: bytes) -> str | None:
    """Return bytes as text if a terminal can show them; otherwise None."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    return text if all(one.isprintable() or one in _READABLE for one in text) else None


def moment(text: str | None) -> str | None:
    """Return a time of ClickHouse as RFC 3339."""
    return text and f"{text.replace(' ', 'T')}Z"


def _request(refusal: Refusal) -> dict[str, Any] | None:
    if not refusal.request:
        return None
    kept = ReplayContext.of(refusal.request)
    around = {name: getattr(kept, name).decode(errors="replace") for name in ("before", "after")}
    return kept._asdict() | around


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
