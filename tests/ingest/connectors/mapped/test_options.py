"""A wrong mapping is refused when it is read, with its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from deploy.cli.main import run
from ingest.registry import ConnectorError, Registry
from tests.ingest.connectors.mapped.mappings import (
    MINIMAL,
    TOKEN,
)

EMAIL = {"email": "hanako@example.com"}


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"type": None}, "mapping: type is missing: for all events, or in each rule"),
        ({"identifiers": None}, "mapping: identifiers are missing"),
        ({"identifiers": []}, "mapping: identifiers are missing"),
        ({"type": "two words"}, "mapping.type: expected a type such as form_submitted"),
        ({"type": {"table": {"a": "b"}}}, "mapping.type: expected a word, or expr"),
        ({"type": {"expr": "a", "table": {"a": "b c"}}}, "mapping.type: expected a type such as"),
        ({"type": {"expr": "a", "table": {}}}, "mapping.type.table: "),
        ({"channel": "Web"}, "mapping.channel: expected a channel such as web"),
        ({"direction": "in"}, "mapping.direction: expected inbound or outbound"),
        ({"event_id": "a["}, "mapping.event_id: is no JMESPath expression: it ends too early"),
        ({"event_id": 5}, "mapping.event_id: must be a JMESPath expression, written as text"),
        ({"event_id": {"expr": "a", "tabel": {}}}, "mapping.event_id.tabel: there is no such"),
        ({"subject": {"table": {"a": 1}}}, "mapping.subject.expr is missing"),
        ({"evnt_id": "a"}, "mapping.evnt_id: there is no such setting"),
        ({"occurred_at": {"expr": "a", "format": "iso"}}, "mapping.occurred_at: format: expected"),
        ({"occurred_at": {"expr": "a", "format": "%Q"}}, "mapping.occurred_at: format: expected"),
        (
            {"occurred_at": {"expr": "a", "timezone": "Tokyo"}},
            "mapping.occurred_at.timezone: expected a time zone such as Asia/Tokyo",
        ),
        ({"identifiers": [{"kind": "E mail", "value": "a"}]}, "mapping.identifiers.0.kind: "),
        ({"identifiers": [{"kind": "email", "value": "a("}]}, "mapping.identifiers.0.value: is no"),
        ({"consent": {"news": "a("}}, "mapping.consent.news: is no JMESPath"),
        ({"traits": {"name": "a("}}, "mapping.traits.name: is no JMESPath"),
        ({"traits": "a("}, "mapping.traits: is no JMESPath"),
        ({"campaign": {"nmae": "a"}}, "mapping.campaign.nmae: there is no such setting"),
        ({"value": {"currency": "a"}}, "mapping.value.amount is missing"),
        ({"value": {"amount": {"expr": "a", "scale": "x"}}}, "mapping.value.amount.scale: "),
        ({"properties": {"without": ["a[0]"]}}, "mapping.properties.without.0: expected names"),
        ({"rules": [{"type": "a"}]}, "mapping.rules.0.when is missing"),
        ({"rules": [{"when": "foo()", "type": "a"}]}, "mapping.rules.0.when: there is no function"),
        ({"unknown": "drop"}, "mapping.unknown: "),
        ({"prefix": "…"}, "mapping: prefix: must hold letters"),
        ({"events": "a["}, "mapping.events: is no JMESPath"),
        (
            {"outcome": {"expr": "a", "table": {"b": ["c"]}}},
            "mapping.outcome.table.b: must be",
        ),
    ],
)
def test_a_wrong_mapping_is_refused_with_the_place(rules: dict[str, Any], message: str):
    every = {name: rule for name, rule in {**MINIMAL, **rules}.items() if rule is not None}
    with pytest.raises(ConnectorError) as error:
        Registry().create("mapped", {"signature": TOKEN, "mapping": every})
    assert f"connector 'mapped': {message}" in str(error.value)
    assert "\n" not in str(error.value)


CONFIG = """
sources:
  forms:
    connector: mapped
    signature: {scheme: token, header: x, secret: s}
    mapping: maps/forms.yaml
"""
FORMS = """
type: form_submitted
identifiers:
  - kind: email
    value: email
rules:
  - when: a == 'b'
    subject: uper(a)
"""


def test_a_wrong_line_is_named_in_the_file_of_the_mapping(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "maps"
    folder.mkdir()
    Path("touchline.yaml").write_text(CONFIG)
    Path("payload.json").write_text(json.dumps(EMAIL))
    told = ["connectors", "try", "mapped", "--source", "forms", "--payload", "payload.json"]

    def said(arguments: list[str]) -> str:
        assert run(arguments) == 1
        return capsys.readouterr().err.strip()

    assert (
        said(["check", "--offline"]) == "maps/forms.yaml: cannot be read: No such file or directory"
    )
    (folder / "forms.yaml").write_text(FORMS)
    expected = (
        "maps/forms.yaml:8: sources.forms.mapping.rules.0.subject: connector 'mapped': "
        "mapping.rules.0.subject: there is no function uper()"
    )
    assert said(["check", "--offline"]) == expected
    assert said(told).endswith(expected)
    Path("touchline.yaml").write_text(CONFIG.replace("header: x, ", "hedaer: x, "))
    assert said(["check", "--offline"]).startswith("touchline.yaml:5: sources.forms.signature")
    Path("touchline.yaml").write_text(CONFIG)
    (folder / "forms.yaml").write_text(FORMS.replace("uper(a)", "a"))
    assert run(["check", "--offline"]) == 0
    assert run(told) == 0
