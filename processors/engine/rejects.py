"""The rejection of a record that a stage cannot process: a row of `touchpoints.rejected`."""

from __future__ import annotations

import uuid

from processors.stage import Failure, Output
from schemas import topics
from schemas.rejection import Origin, Rejection, rejected_row

#: base64 makes the payload a third longer, and the row must fit a record batch.
_MAX_PAYLOAD = 600_000


def rejected(failure: Failure, stage: str, epoch: int) -> Output:
    """Return the rejection of a record, the same however often it fails. No text of the error."""
    record = failure.record
    # The time is included because offsets begin anew with each lifetime of the embedded broker.
    name = f"{record.topic}/{record.partition}/{record.offset}/{record.timestamp_ms}"
    rejected_id = str(uuid.uuid5(uuid.NAMESPACE_URL, name))
    cut = len(record.value) > _MAX_PAYLOAD
    detail = f"{failure.error} in {stage}" + (" (payload cut)" if cut else "")
    row = rejected_row(
        Rejection("processing_failed", detail, record.value[:_MAX_PAYLOAD]),
        Origin(
            "cut" if cut else "record",
            topic=record.topic,
            partition=record.partition,
            key=record.key or b"",
            epoch=epoch,
        ),
        rejected_id=rejected_id,
        received_ms=record.timestamp_ms,
    )
    return Output(topics.REJECTED.name, rejected_id.encode(), row)
