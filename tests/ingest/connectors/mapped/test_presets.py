"""The presets: the contract suite over each, and how a source completes one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ingest.connector import Context
from ingest.connectors.mapped import catalogue
from ingest.connectors.mapped.connector import Mapped, MappedOptions
from ingest.connectors.mapped.contract import PRESETS
from ingest.registry import ConnectorError, Registry
from ingest.testing.preview import connector_for
from ingest.testing.values import RECEIVED_MS, posted
from schemas.touchpoint import Touchpoint

globals().update({f"Test{suite.__name__}": suite for suite in PRESETS.values()})

ACME = """
doc: Acme
source: https://acme.example.com/docs
signature: {scheme: hmac, header: X-Acme, encoding: base64}
mapping:
  prefix: acme
  type: {expr: kind, table: {a: form_submitted}}
  identifiers: [{kind: email, value: email}]
  subject: title
"""
BODY = b'{"kind": "a", "email": "hanako@example.com", "title": "T", "name": "N"}'


@pytest.fixture
def _acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "acme").mkdir()
    (tmp_path / "acme" / "preset.yaml").write_text(ACME)
    monkeypatch.setattr(catalogue, "FOLDER", tmp_path)
    for cached in (catalogue.names, catalogue.load):
        cached.cache_clear()
    yield
    for cached in (catalogue.names, catalogue.load):
        cached.cache_clear()


def options(**given: Any) -> MappedOptions:
    return MappedOptions.model_validate({"preset": "acme", **given})


def touch(made: MappedOptions) -> Touchpoint:
    (found,) = Mapped(made).parse(posted(BODY), Context("s", RECEIVED_MS))
    assert isinstance(found, Touchpoint)
    return found


@pytest.mark.usefixtures("_acme")
class TestCompletion:
    def test_a_secret_is_all_that_is_needed(self):
        made = options(signature={"secret": "s"})
        assert (made.signature.scheme, made.signature.headers()) == ("hmac", {"x-acme"})
        assert touch(made).subject == "T"

    def test_what_a_source_states_takes_the_place_of_the_preset_key_by_key(self):
        given = {"subject": "name", "type": "form_sent"}
        made = options(signature={"secret": "s", "header": "X-Other"}, mapping=given)
        assert made.signature.headers() == {"x-other"}
        assert made.signature.model_dump()["encoding"] == "base64"
        found = touch(made)
        assert (found.subject, found.type) == ("N", "form_sent")
        assert [one.value for one in found.identifiers] == ["hanako@example.com"]

    def test_another_scheme_takes_the_place_of_the_whole_signature(self):
        made = options(signature={"scheme": "token", "bearer": True, "secret": "s"})
        assert made.signature.scheme == "token"

    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            ({"preset": "acne"}, "preset: there is no such preset, expected one of acme"),
            ({"preset": 5}, "preset: there is no such preset, expected one of acme"),
            ({}, "signature is missing"),
            ({"signature": {}}, "signature.secret is missing"),
            ({"signature": {"secret": ""}}, "signature.secret: must not be empty"),
            ({"signature": {"secret": "s"}, "mapping": "a.yaml"}, "mapping: expected the mapping"),
        ],
    )
    def test_what_is_wrong_is_said_of_the_option(self, given: dict[str, Any], expected: str):
        with pytest.raises(ConnectorError) as raised:
            Registry().create("mapped", {"preset": "acme", **given})
        assert str(raised.value).startswith(f"connector 'mapped': {expected}")

    def test_a_dry_run_needs_no_secret(self):
        assert isinstance(connector_for(Registry(), "mapped", {"preset": "acme"}), Mapped)


@pytest.mark.parametrize("name", catalogue.names())
def test_a_dry_run_of_each_preset_needs_no_secret(name: str):
    assert isinstance(connector_for(Registry(), "mapped", {"preset": name}), Mapped)


def test_presets_are_part_of_the_package():
    assert Mapped.presets().keys() == set(catalogue.names()) == PRESETS.keys()
