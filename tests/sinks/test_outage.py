"""An outage is said once, not by every table at every attempt."""

from __future__ import annotations

import structlog
from structlog.testing import LogCapture

from sinks.outage import OutageReporter


def test_an_outage_is_said_once_and_again_after_a_minute() -> None:
    now = 0.0
    capture = LogCapture()
    log = structlog.wrap_logger(None, processors=[capture], wrapper_class=structlog.BoundLogger)
    outages = OutageReporter(lambda: now)

    def said() -> list[str]:
        found = [entry["error"] for entry in capture.entries if entry["log_level"] == "warning"]
        capture.entries.clear()
        return found

    for _ in range(3):
        outages.failed(log, "insert_failed", "nobody answers", rows=1)
    outages.failed(log, "insert_failed", "no such table", rows=1)
    assert said() == ["nobody answers", "no such table"]
    now = 59.0
    outages.failed(log, "insert_failed", "nobody answers", rows=1)
    assert said() == []
    now = 60.0
    outages.failed(log, "insert_failed", "nobody answers", rows=1)
    assert said() == ["nobody answers"]
    outages.over("insert_failed")
    outages.failed(log, "insert_failed", "nobody answers", rows=1)
    assert said() == ["nobody answers"]
