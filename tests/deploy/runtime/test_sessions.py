"""The sessions of workers and sinks with Kafka."""

from __future__ import annotations

import pytest

from deploy.config.settings import Settings, with_changes
from deploy.kafka.control import Generation
from deploy.runtime.sink import sink_config
from deploy.runtime.worker import engine_config

PRESENT = Generation(1, "cluster", "{}")


@pytest.mark.parametrize(
    ("given", "stage", "send", "sink"), [(None, 60, 20, 30), (8, 8, 4, 8), (300, 300, 20, 300)]
)
def test_a_stage_gives_up_a_send_before_others_may_own_its_partitions(given, stage, send, sink):
    settings = with_changes(Settings(), {"kafka": {"session_timeout_s": given}})
    config = engine_config(settings, PRESENT, "trails")
    assert (config.session_timeout, config.send_timeout) == (stage, send)
    assert sink_config(settings, "").session_timeout_s == sink


def test_the_embedded_broker_has_a_session_of_its_own():
    settings = with_changes(Settings(), {"kafka": {"embedded": True, "session_timeout_s": 60}})
    assert sink_config(settings, "").session_timeout_s == 6
