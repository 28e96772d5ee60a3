"""docs/plug-in-a-channel.md says what is there, and its example works as it stands."""

from __future__ import annotations

import inspect
import json
import re
import shutil
from pathlib import Path

import click
import pytest
import yaml

from deploy.cli.main import LazyGroup, cli
from ingest import connector
from ingest.connectors import reading, signing
from ingest.kit import fields
from tests.support.plug_in import ROOT, Installed

PAGE = (ROOT / "docs" / "plug-in-a-channel.md").read_text()
EXAMPLE = ROOT / "docs" / "examples" / "calendly"


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^( *)```{kind}\n(.*?)^\1```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """A copy, so that nothing is built in the repository."""
    folder = tmp_path_factory.mktemp("example")
    shutil.copytree(EXAMPLE, folder / "calendly")
    return Installed(folder / "calendly", folder / "site")


@pytest.mark.integration
def test_the_example_keeps_all_promises(example: Installed):
    status, said = example.connectors("test", "calendly", "--json")
    assert status == 0, said
    found = json.loads(said)
    assert "an old request is refused" in found["kept"]
    assert found["broken"] == []


@pytest.mark.integration
def test_the_example_can_be_tried(example: Installed):
    payload = "touchline_calendly/payloads/invitee_created.json"
    status, said = example.connectors("try", "calendly", "--payload", payload)
    assert status == 0, said
    assert "1. meeting_booked (event, inbound)" in said
    assert "+819012345678" in said


@pytest.mark.integration
def test_the_example_is_clean(example: Installed):
    example.assert_clean()


def test_the_code_on_the_page_is_that_of_the_example():
    code = "".join(file.read_text() for file in (EXAMPLE / "touchline_calendly").glob("*.py"))
    excerpts = [text for _, text in blocks("python")]
    assert len(excerpts) >= 4
    for text in excerpts:
        assert text in code


def test_the_commands_on_the_page_exist():
    shell = "\n".join(text for _, text in blocks("sh"))
    told = re.findall(r"touchline (?:--config \S+ )?([a-z]+)(?: ([a-z]+))?", shell)
    told += [(a, b) for a, b in re.findall(r"`touchline (?!\-)([a-z]+) ?([a-z]+)?", PAGE)]
    assert {("connectors", "new"), ("connectors", "test"), ("rejected", "replay")} <= set(told)
    context = click.Context(cli)
    assert isinstance(cli, LazyGroup)
    for name, inner in told:
        command = cli.get_command(context, name)
        assert command is not None, name
        if isinstance(command, click.Group) and inner:
            assert command.get_command(context, inner) is not None, (name, inner)


def test_the_source_on_the_page_has_the_options_of_the_example():
    (_, text) = blocks("yaml")[0]
    (source,) = yaml.safe_load(text)["sources"].values()
    assert source["connector"] == "calendly"
    assert f"{next(key for key in source if key != 'connector')}: Required" in PAGE


def test_every_part_of_the_interface_is_on_the_page():
    interface = PAGE.partition("## The interface on one page")[2]
    assert f"Version {connector.INTERFACE_VERSION} " in interface
    for cls in (
        connector.WebhookConnector,
        connector.KeyedConnector,
        connector.FetchingConnector,
        connector.TokenConnector,
        connector.BatchConnector,
        connector.RowConnector,
    ):
        own = [name for name in vars(cls) if not name.startswith("_")]
        for name in (*own, *inspect.get_annotations(cls)):
            assert re.search(rf"\b{name}\b", interface), (cls.__name__, name)
    request = {*connector.Request._fields, "json", "form"} - {"fetched"}
    for name in (*request, *inspect.get_annotations(connector.Context)):
        assert f"`{name}`" in interface, name


def test_the_helpers_on_the_page_exist():
    for name in ("decode", "Fields", "finish", "each", "derived_id"):
        assert hasattr(reading, name)
        assert name in PAGE
    for name in ("single_event", "listed_events"):
        assert hasattr(fields, name)
        assert name in PAGE
    for name in ("is_hmac_of", "RequiredSecrets"):
        assert hasattr(signing, name)
        assert name in PAGE


def test_the_addresses_on_the_page_are_files():
    for address in re.findall(r"\]\(([^)#:]+)\)", PAGE):
        assert (Path(ROOT / "docs") / address).exists(), address
