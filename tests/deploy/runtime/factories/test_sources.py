"""Sources and limits as they are made from the configuration."""

from pathlib import Path

import pytest

from deploy.config.config_file import ConfigurationError
from deploy.config.settings import load
from deploy.runtime.factories.gateway import gateway_sources


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
