"""Logs say an outage in one line, whatever the client library makes of it."""

from __future__ import annotations

import json
import logging

import pytest

from deploy.config.sections import LogSettings
from deploy.runtime import logs


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, str]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_library_that_repeats_itself_gets_one_line_without_a_stack_trace(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure(LogSettings(format="json"), "sink")
    library = logging.getLogger("aiokafka.consumer.fetcher")
    library.error("before the connection was made")
    assert lines(capsys) == []
    logging.getLogger(logs.CONDENSED).setLevel(logging.ERROR)
    for _ in range(100):
        try:
            raise OSError("refused")
        except OSError:
            library.exception("Unable to connect to %s", "node 1")
    [line] = lines(capsys)
    assert line.pop("timestamp")
    assert line == {
        "process": "sink",
        "level": "warning",
        "event": "kafka_problem",
        "detail": "Unable to connect to node 1",
    }


def test_it_is_said_again_when_it_begins_anew_or_lasts(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(LogSettings(format="json"), "sink")
    now = 0.0
    handler = logs.Condensed("kafka_problem", lambda: now)
    said = []
    for moment in (0, 5, 14, 25, 30, *range(35, 130, 5)):
        now = float(moment)
        handler.emit(logging.LogRecord("x", logging.ERROR, "", 0, "text", (), None))
        said += [now for _ in lines(capsys)]
    assert said == [0.0, 25.0, 85.0]


def test_the_engines_services_do_not_log_their_starts(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(LogSettings(format="json"), "trails")
    for name in logs.FEWER:
        logging.getLogger(name).info("[^--Service]: Starting...")
    assert lines(capsys) == []
