"""The command line: what each command answers, and with which exit status."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.cli.main import COMMANDS, cli, exit_status, run
from schemas.errors import TouchlineError
from tests.support.exceptions import FAILURES

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TOUCHLINE_CONFIG", raising=False)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_loads_and_explains_itself(name: str, capsys: Capture):
    assert run([name, "--help"]) == 0
    assert "Usage: touchline" in capsys.readouterr().out


def test_the_help_lists_every_command_without_loading_one(capsys: Capture):
    assert run(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(f"  {name}" in out for name in COMMANDS)


def test_wrong_usage_is_status_2(capsys: Capture):
    assert run(["nothing"]) == 2
    assert run(["setup", "--nothing"]) == 2
    assert run(["profile", "show", "no-colon"]) == 2
    assert "expected KIND:VALUE" in capsys.readouterr().err


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure.__qualname__)
def test_a_failure_is_a_line_a_problem_without_a_trace(
    failure: type[TouchlineError], capsys: Capture
):
    error = failure.__new__(failure, "file:1: one\nfile:2: two")

    def fail() -> None:
        raise error

    assert exit_status(fail) == 1
    said = capsys.readouterr()
    assert said.err == "touchline: file:1: one\ntouchline: file:2: two\n"
    assert said.out == ""


def test_a_failure_that_says_nothing_is_named(capsys: Capture):
    def fail() -> None:
        raise TouchlineError

    assert exit_status(fail) == 1
    assert capsys.readouterr().err == "touchline: TouchlineError\n"


@pytest.mark.parametrize("bug", [KeyError("x"), ValueError("x"), RuntimeError("x")])
def test_a_bug_passes_with_its_trace(bug: Exception, capsys: Capture):
    def fail() -> None:
        raise bug

    with pytest.raises(type(bug)):
        exit_status(fail)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("command", ["gateway", "sink", "worker", "setup", "up", "check"])
def test_every_process_refuses_a_wrong_configuration_with_file_and_line(
    command: str, tmp_path: Path, capsys: Capture
):
    config = tmp_path / "wrong.yaml"
    config.write_text("namespace: ok\ngateway:\n  port: none\n")
    assert run(["--config", str(config), command]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{config}:3: gateway.port: " in line


@pytest.mark.parametrize("command", ["worker", "check", "up"])
def test_a_wrong_segment_is_refused_with_file_and_line(
    command: str, tmp_path: Path, capsys: Capture
):
    (tmp_path / "segments").mkdir()
    (tmp_path / "segments" / "vip.yaml").write_text("name: vip\nwhen:\n  cuont: {at_least: 1}\n")
    (tmp_path / "touchline.yaml").write_text("segments: segments/\n")
    assert run([command]) == 1
    assert "segments/vip.yaml:" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["gateway", "check", "up"])
def test_a_wrong_source_is_refused_at_its_line(command: str, tmp_path: Path, capsys: Capture):
    (tmp_path / "touchline.yaml").write_text(
        "sources:\n"
        "  web: {connector: segment, write_key: abc}\n"
        "  mail:\n"
        "    connector: nothing\n"
        "  shop:\n"
        "    connector: segment\n"
        "    write_kye: secret-value\n"
    )
    assert run([command]) == 1
    err = capsys.readouterr().err
    assert "touchline.yaml:3: sources.mail: there is no connector 'nothing'" in err
    assert "touchline.yaml:7: sources.shop.write_kye: " in err
    assert "secret-value" not in err


def test_two_sources_with_one_key_are_refused(tmp_path: Path, capsys: Capture):
    (tmp_path / "touchline.yaml").write_text(
        "sources:\n"
        "  a: {connector: segment, write_key: same}\n"
        "  b: {connector: segment, write_key: same}\n"
    )
    assert run(["check", "--offline"]) == 1
    assert "'a' and 'b' have the same key" in capsys.readouterr().err


def test_check_says_that_all_is_well(tmp_path: Path, capsys: Capture):
    (tmp_path / "touchline.yaml").write_text(
        "sources:\n  web: {connector: segment, write_key: abc}\n"
    )
    assert run(["check", "--offline", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"]
    assert answer["notes"] == ["touchline.yaml is fine: 1 sources, 0 segments"]


def test_connectors_are_listed(capsys: Capture):
    assert run(["connectors", "list", "--json"]) == 0
    found = {connector["name"]: connector for connector in json.loads(capsys.readouterr().out)}
    assert {"segment", "sendgrid", "twilio", "line", "touchpoint"} <= set(found)
    assert found["segment"]["options"] == ["write_key"]
    assert run(["connectors", "list"]) == 0
    assert "segment" in capsys.readouterr().out


def test_segments_are_listed(tmp_path: Path, capsys: Capture):
    (tmp_path / "segments").mkdir()
    (tmp_path / "segments" / "vip.yaml").write_text(
        "name: vip\ndescription: bought five times\n"
        "when:\n  count: {type: order_completed, at_least: 5, within: 30d}\n"
    )
    (tmp_path / "touchline.yaml").write_text("segments: segments/\n")
    assert run(["segments", "list"]) == 0
    assert capsys.readouterr().out == "vip  bought five times\n"
    assert run(["segments", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["name"] == "vip"


def test_the_schema_of_a_touchpoint_is_printed(capsys: Capture):
    assert run(["schema", "touchpoint"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert {"event_id", "channel", "type", "identifiers"} <= set(schema["properties"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["setup", "--wait", "0"], "touchline: Kafka at 127.0.0.1:1 does not answer"),
        (["profile", "show", "customer_id:1"], "touchline: ClickHouse at http://127.0.0.1:1 does"),
    ],
)
def test_a_server_that_is_not_there_is_one_line(
    arguments: list[str], message: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TOUCHLINE_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:1")
    monkeypatch.setenv("TOUCHLINE_CLICKHOUSE__URL", "http://127.0.0.1:1")
    assert run(arguments) == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith(message)


def test_the_group_knows_exactly_the_declared_commands():
    context = cli.make_context("touchline", ["check"])
    assert cli.list_commands(context) == list(COMMANDS)
    resolve: Callable[[str], object] = lambda name: cli.get_command(context, name)  # noqa: E731 - short
    assert all(map(resolve, COMMANDS))
    assert cli.get_command(context, "nothing") is None
