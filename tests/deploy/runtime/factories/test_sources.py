"""What the packages are told of the configuration."""

from pathlib import Path

import pytest

from deploy.config.settings import Settings, load, with_changes
from deploy.config.yaml_file import ConfigurationError
from deploy.kafka.control import Generation
from deploy.runtime.factories.sources import gateway_sources
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


def test_a_source_knows_the_origins_of_its_pages(tmp_path: Path):
    file = tmp_path / "touchline.yaml"
    file.write_text(
        "sources:\n"
        "  shop: {connector: segment, write_key: k,\n"
        "         origins: [https://shop.example.com, http://localhost:3000, capacitor://localhost]}"
        "\n  blog: {connector: segment, write_key: b}\n"
    )
    shop, blog = gateway_sources(load(file))
    assert shop.origins == {
        "https://shop.example.com", "http://localhost:3000", "capacitor://localhost",
    }  # fmt: skip
    assert blog.origins is None


def test_origins_of_a_source_that_no_page_sends_to_are_refused(tmp_path: Path):
    file = tmp_path / "touchline.yaml"
    file.write_text(
        "sources:\n  crm: {connector: touchpoint, token: t,\n    origins: [https://a.b]}"
    )
    with pytest.raises(ConfigurationError, match=r":3: sources\.crm\.origins: pages do not send"):
        gateway_sources(load(file))
