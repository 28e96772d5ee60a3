"""The outcome that a refusal would have today. Pure: the same refusal, the same assessment.

A body or an event is read again by the connector that its source has now, as the gateway would; its
signature was verified before it was stored. It keeps its time of receipt, and so the ids that are
derived from it. A record returns to its topic unchanged, which is safe because these messages are
absolute and versioned, but only within its epoch: versions of another epoch mean nothing.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from deploy.operations.rejected.log import Refusal
from ingest.connector import Request
from ingest.intake.accept import Accepted
from ingest.intake.decompression import decompress
from ingest.intake.evaluate import evaluate, rejection_message
from ingest.intake.limits import Limits
from ingest.intake.replay_context import ENCODING, Origins, ReplayContext
from ingest.intake.source import ReadableSource
from ingest.publishing.port import Message
from schemas import messages, topics, touchpoint_row
from schemas.rejection import Rejection
from schemas.touchpoint_row import TouchpointRow

_CUT = "only its beginning was kept"
_WITHOUT_TOPIC = "it was kept by an older version, without its topic"
_OTHER_EPOCH = "a rebuild has computed anew what it is about"
_WATERMARK = "it is a sign of life of a stage, and newer ones say more"
_json = msgspec.json.Decoder()
#: Decoders with which the readers of a topic begin; they raise msgspec.DecodeError.
_READERS: Mapping[str, Callable[[bytes], Any]] = {
    topics.TRAILS.name: messages.decode_trail_message,
    topics.LINK_REQUESTS.name: messages.decode_link,
    topics.ASSIGNMENTS.name: messages.decode_assignment,
}
#: Topics whose records have the same meaning in every epoch.
_LASTING = (topics.DEDUPLICATED.name, topics.REJECTED.name)


@dataclass(frozen=True, slots=True)
class Touch:
    """A touch that would be accepted: its record, and its row."""

    record: Accepted
    row: TouchpointRow


@dataclass(frozen=True, slots=True)
class ReplayAssessment:
    """The outcome of a refusal.

    Either touches that would be accepted, and events that would be refused again (as records under
    ids of their own, with the reasons); or the record that would be returned to its topic.
    `obstacle` gives the reason if it cannot be replayed at all.
    """

    refusal: Refusal
    touches: list[Touch] = field(default_factory=list)
    refused: list[Message] = field(default_factory=list)
    reasons: list[Rejection] = field(default_factory=list)
    returned: Message | None = None
    obstacle: str = ""

    @property
    def goes(self) -> bool:
        """True if a replay would process it; otherwise it stays as it is."""
        if self.obstacle:
            return False
        return bool(self.touches) or self.returned is not None or not self.reasons

    @property
    def why(self) -> str:
        """Reason for which it is still refused, in the words of the first one."""
        if self.obstacle or not self.reasons:
            return self.obstacle
        return f"{self.reasons[0].reason}: {self.reasons[0].detail}"


class Assessor:
    """An assessor of refusals by the sources as they are configured now."""

    def __init__(self, sources: Mapping[str, ReadableSource], limits: Limits, epoch: int) -> None:
        """Prepare. `epoch`: the present one."""
        self._sources = sources
        self._limits = limits
        self._epoch = epoch

    def assess(self, refusal: Refusal) -> ReplayAssessment:
        """Return the outcome that a refusal would have now."""
        if refusal.form == "cut":
            return ReplayAssessment(refusal, obstacle=_CUT)
        if refusal.form == "record":
            return self._record(refusal)
        if not refusal.source:
            return ReplayAssessment(refusal, obstacle=_WITHOUT_TOPIC)
        source = self._sources.get(refusal.source)
        if source is None:
            problem = f"source {refusal.source} is not configured, or takes no requests"
            return ReplayAssessment(refusal, obstacle=problem)
        if source.connector.name != refusal.connector:
            problem = (
                f"source {refusal.source} has the connector {source.connector.name} now, and this "
                f"was sent to {refusal.connector}"
            )
            return ReplayAssessment(refusal, obstacle=problem)
        assessments = [
            self._read(refusal, source, request) for request in _requests(refusal, source)
        ]
        return next((one for one in assessments if one.touches), assessments[0])

    def _record(self, refusal: Refusal) -> ReplayAssessment:
        topic, value = refusal.topic, refusal.payload
        try:
            if topic == topics.TOUCHPOINTS.name:
                row = touchpoint_row.decode(value)
                record = Accepted(row.event_id, refusal.key or row.lead_id.encode(), value)
                return ReplayAssessment(refusal, touches=[Touch(record, row)])
            read = _READERS.get(topic, _json.decode)(value)
        except msgspec.MsgspecError:
            return ReplayAssessment(
                refusal, obstacle=f"it is no record that the topic {topic} can have"
            )
        if isinstance(read, messages.Watermark):
            return ReplayAssessment(refusal, obstacle=_WATERMARK)
        if topic not in _LASTING and refusal.epoch != self._epoch:
            return ReplayAssessment(refusal, obstacle=_OTHER_EPOCH)
        # This topic, of a single partition, has more on the embedded broker.
        partition = 0 if topic == topics.LINK_REQUESTS.name else None
        return ReplayAssessment(
            refusal, returned=Message(topic, refusal.key, value, None, partition)
        )

    def _read(self, refusal: Refusal, source: ReadableSource, request: Request) -> ReplayAssessment:
        encoding = request.headers.get(ENCODING, "")
        problem = None
        if encoding:
            body = decompress(request.body, encoding.strip().lower(), self._limits.max_body_bytes)
            problem = body.problem
            request = request._replace(body=body.data if problem is None else request.body)
        assessment = ReplayAssessment(refusal)
        origins = Origins(source.name, source.connector, request, problem)
        results = (
            evaluate(source, request, refusal.received_ms, self._limits)
            if problem is None
            else iter([problem])
        )
        for number, result in enumerate(results):
            if isinstance(result, Accepted):
                assessment.touches.append(Touch(result, touchpoint_row.decode(result.value)))
                continue
            if origins.of(result).form == "body":
                # The rest of the body cannot be told apart from the refused part, so it stays as a
                # whole.
                return ReplayAssessment(refusal, reasons=[result])
            assessment.reasons.append(result)
            assessment.refused.append(
                rejection_message(
                    result,
                    origins,
                    rejected_id=_part_id(refusal, number),
                    received_ms=refusal.received_ms,
                    max_kept_bytes=self._limits.max_kept_bytes,
                )
            )
        return assessment


def _requests(refusal: Refusal, source: ReadableSource) -> Iterator[Request]:
    """Yield the request of a refusal; if it is unknown, each possible one."""
    kept = ReplayContext.of(refusal.request) if refusal.request else ReplayContext()
    yield kept.request(refusal.payload)
    if not refusal.form:
        alone = kept.alone(source.connector, ReplayContext().request(b""))
        if alone is not None:
            yield alone.request(refusal.payload)


def _part_id(refusal: Refusal, number: int) -> str:
    """Return the id of an event in it that is refused again: the same in every replay."""
    return str(uuid.uuid5(uuid.UUID(refusal.rejected_id), f"{refusal.received_ms}/{number}"))
