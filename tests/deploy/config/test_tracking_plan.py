"""Tracking plans in the configuration: which source is compared with which, and what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deploy.cli.main import run
from deploy.config.config_file import ConfigurationError
from deploy.config.settings import load
from deploy.config.tracking_plan import read_plan
from deploy.runtime.factories.gateway import gateway_sources

SOURCE = "connector: line, channel_secret: x"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths are relative to the file, wherever the process was started."""
    monkeypatch.delenv("TOUCHLINE_CONFIG", raising=False)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")


def write(folder: Path, **files: str) -> Path:
    """A folder with these files; __ stands for a dot."""
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text, encoding="utf-8")
    return folder


def configured(folder: Path, text: str) -> Path:
    path = folder / "touchline.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def refused(path: Path) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        gateway_sources(load(path))
    return str(caught.value).splitlines()


def test_sources_say_whether_they_are_compared_and_may_have_a_plan_of_their_own(tmp_path: Path):
    write(tmp_path / "plan", page_viewed__yaml="title: Pages")
    write(tmp_path / "chat", message_received__yml="{}")
    config = configured(
        tmp_path,
        "tracking_plan: plan/\nsources:\n"
        f"  a: {{{SOURCE}, validate: warn}}\n"
        f"  b: {{{SOURCE}, validate: reject, tracking_plan: chat}}\n"
        f"  c: {{{SOURCE}}}\n",
    )
    plans = [source.plan for source in gateway_sources(load(config))]
    assert [plan and plan.rejects for plan in plans] == [False, True, None]
    assert run(["--config", str(config), "check", "--offline"]) == 0


def test_a_file_is_a_type_in_yaml_or_json(tmp_path: Path):
    folder = write(
        tmp_path / "plan",
        購入__yaml="properties: {properties: {properties: {a: {enum: [no, 1]}}}}",
        order_completed__json=json.dumps({"required": ["value"]}, indent="\t"),
        _default__yaml="{}",
        README__md="not a schema",
    )
    plan = read_plan(folder)
    assert plan.keys() == {"購入", "order_completed", "_default"}
    assert plan["order_completed"] == {"required": ["value"]}
    values = plan["購入"]["properties"]["properties"]["properties"]["a"]["enum"]
    assert values == ["no", 1]  # not YAML's false


def test_what_is_wrong_is_said_with_file_and_line_by_check(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folder = write(
        tmp_path / "plan",
        a__yaml="required:\n  - value\n  - order_id\nproperties:\n  url:\n    type: objekt\n",
        b__yaml="",
        c__json='{"properties": {\n "url": {"pattern": "("}}}',
        d__yaml="properties: [\n",
        e__yaml="{}",
        e__json="{}",
    )
    config = configured(
        tmp_path, f"tracking_plan: plan\nsources:\n  a: {{{SOURCE}, validate: reject}}\n"
    )
    assert run(["--config", str(config), "check", "--offline"]) == 1
    lines = capsys.readouterr().err.splitlines()
    expected = (
        (f"{folder}/a.yaml:3: order_id", "properties.properties"),
        (f"{folder}/a.yaml:6: properties.url.type", "expected one of null"),
        (f"{folder}/b.yaml:1: the file is empty", "expected a JSON Schema"),
        (f"{folder}/c.json:2: properties.url.pattern", "regular expression"),
        (f"{folder}/d.yaml:2: not valid YAML", ""),
        (f"{folder}/e.yaml:1: e has another file", ""),
    )
    for start, rest in expected:
        [line] = [line for line in lines if line.startswith(start)]
        assert rest in line
    assert len(lines) == len(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"sources:\n  a: {{{SOURCE}, validate: warn}}", "2: sources.a.validate: expected the fol"),
        (
            f"sources:\n  a: {{{SOURCE}, tracking_plan: p}}",
            "2: sources.a.tracking_plan: expected va",
        ),
        (f"sources:\n  a: {{{SOURCE}, validate: no}}", "2: sources.a.validate: expected 'warn'"),
        (f"tracking_plan: p\nsources:\n  a: {{{SOURCE}, validate: warn}}", "p: no such folder"),
    ],
)
def test_what_does_not_fit_together_is_refused(tmp_path: Path, text: str, expected: str):
    [line] = refused(configured(tmp_path, text))
    assert expected in line


def test_an_empty_folder_plans_nothing_and_is_refused(tmp_path: Path):
    with pytest.raises(ConfigurationError, match="is empty"):
        read_plan(write(tmp_path / "plan"))


def test_a_plan_that_no_source_is_compared_with_yet_is_checked_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folder = write(tmp_path / "plan", a__yaml="type: 1")
    config = configured(tmp_path, "tracking_plan: plan")
    assert run(["--config", str(config), "check", "--offline"]) == 1
    assert f"{folder}/a.yaml:1: type: " in capsys.readouterr().err
