"""The layout of ingest/connectors: one package a provider, each with the same parts."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

import ingest.connectors

FOLDER = Path(ingest.connectors.__file__).parent
ROOT = FOLDER.parents[1]
PACKAGES = sorted(path.name for path in FOLDER.iterdir() if (path / "__init__.py").exists())
POINTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
#: The former names of `ingest.kit.fields` and `ingest.kit.signing`, which plug-ins import.
FORMER_NAMES = {"reading.py", "signing.py"}


def test_nothing_but_packages_and_the_two_former_names_lies_there():
    found = {path.name for path in FOLDER.iterdir()} - {"__pycache__", "__init__.py"}
    assert found == {*PACKAGES, *FORMER_NAMES}


def test_each_package_is_a_connector_with_a_contract_and_no_others_are_named():
    for group, module in (("connectors", "connector"), ("contracts", "contract")):
        points = POINTS[f"touchline.{group}"]
        assert sorted(points) == PACKAGES
        for name, value in points.items():
            assert re.fullmatch(rf"ingest\.connectors\.{name}\.{module}:\w+", value), value


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_has_connector_contract_and_payloads(name: str):
    package = FOLDER / name
    for module in ("connector.py", "contract.py"):
        assert (package / module).is_file(), module
    assert any((package / "payloads").iterdir())
    folders = {path.name for path in package.iterdir() if path.is_dir()}
    assert folders - {"__pycache__"} == {"payloads", *({"presets"} if name == "mapped" else ())}
    others = {path.suffix for path in package.iterdir() if path.is_file()}
    assert others == {".py"}


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_says_what_is_sent_and_names_its_page_which_the_list_of_channels_has(name: str):
    text = (FOLDER / name / "__init__.py").read_text()
    first, *_ = text.removeprefix('"""').partition("\n")
    assert first.rstrip('"').endswith("."), first
    page = re.search(r"See docs/channels/(\w+\.md)\.", text)
    assert page is not None, name
    channels = ROOT / "docs" / "channels"
    assert (channels / page[1]).is_file()
    assert f"[{name}]({page[1]})" in (channels / "README.md").read_text()


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_has_tests_of_its_name(name: str):
    tests = Path(__file__).parent
    assert (tests / f"test_{name}.py").is_file() or (tests / name).is_dir()


def test_the_template_teaches_the_same_layout():
    template = ROOT / "ingest" / "testing" / "template" / "touchline_acme_chat"
    found = {path.name for path in template.iterdir()} - {"__pycache__"}
    assert found == {"__init__.py", "connector.py", "contract.py", "payloads", "py.typed"}


def test_a_preset_has_its_file_and_payloads():
    for folder in (FOLDER / "mapped" / "presets").iterdir():
        assert {path.name for path in folder.iterdir()} == {"preset.yaml", "payloads"}, folder
        endings = {path.suffix for path in (folder / "payloads").iterdir()}
        assert endings <= {".json", ".form"}, folder
        assert endings, folder
