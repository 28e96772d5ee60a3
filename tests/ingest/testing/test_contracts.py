"""Contracts are found by their entry points, and run by the command and by pytest."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import types
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from deploy.cli.main import run
from ingest.registry import ConnectorError, Registry
from ingest.testing.batch import BatchConnectorSuite
from ingest.testing.contracts import GROUP, load_contract
from ingest.testing.suite import ConnectorSuite

ROOT = Path(__file__).parents[3]
Capture = pytest.CaptureFixture[str]

#: A plug-in whose connector lets everybody in.
ALMOST = """
from ingest.connectors.line.connector import Line, LineOptions
from ingest.connectors.line.contract import LineContract


class Almost(Line):
    name = "almost"

    def verify(self, request, received_ms):
        return True


class AlmostContract(LineContract):
    name = "almost"

    def make(self, *secrets):
        return Almost(LineOptions.model_validate({"channel_secret": secrets}))
"""


def install(folder: Path, name: str, connector: str, contract: str | None = None) -> None:
    """Entry points as an installed package has them."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = ["[touchline.connectors]", f"{name} = {connector}"]
    if contract:
        lines += [f"[{GROUP}]", f"{name} = {contract}"]
    (info / "entry_points.txt").write_text("\n".join(lines))


def almost(folder: Path) -> dict[str, str]:
    """The plug-in, installed; the environment in which it is found."""
    install(folder, "almost", "almost:Almost", "almost:AlmostContract")
    (folder / "almost.py").write_text(ALMOST)
    return {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}"}


def python(*arguments: str, cwd: Path, env: dict[str, str] | None = None) -> tuple[int, str]:
    told = [sys.executable, "-P", *arguments]
    env = env or {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(told, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    return ended.returncode, ended.stdout + ended.stderr


def test_every_connector_has_a_contract():
    assert {point.name for point in entry_points(group=GROUP)} == set(Registry())
    for name in Registry():
        assert issubclass(load_contract(name), (ConnectorSuite, BatchConnectorSuite))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "connector 'toy' has no contract: no entry point of the group touchline.contracts"),
        ("toys:Missing", "(toys:Missing) cannot be imported: AttributeError: "),
        ("nowhere:X", "(nowhere:X) cannot be imported: ModuleNotFoundError: "),
        ("toys:Toy", "(toys:Toy) is no subclass of ConnectorSuite"),
        ("toys:Files", "(toys:Files) is no subclass of ConnectorSuite"),
        ("toys:Other", "(toys:Other) is for 'line'"),
    ],
)
def test_what_is_wrong_with_a_contract_is_said_in_one_line(
    value: str | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    toys = types.ModuleType("toys")
    line = Registry().load("line")
    vars(toys).update(
        Toy=type("Toy", (line,), {"name": "toy"}),
        Files=BatchConnectorSuite,
        Other=load_contract("line"),
    )
    monkeypatch.setitem(sys.modules, "toys", toys)
    install(tmp_path, "toy", "toys:Toy", value)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConnectorError) as problem:
        load_contract("toy")
    assert said in str(problem.value)
    assert "\n" not in str(problem.value)


def test_an_unknown_connector_is_said_so(capsys: Capture):
    assert run(["connectors", "test", "nothing"]) == 1
    assert "there is no connector 'nothing'" in capsys.readouterr().err


def test_what_has_to_be_installed_is_said_in_one_line(tmp_path: Path):
    code = "import sys; sys.modules['hypothesis'] = None; from deploy.cli.main import main; main()"
    status, said = python("-c", code, "connectors", "test", "line", cwd=tmp_path)
    assert status == 1
    (line,) = said.splitlines()
    assert line.endswith("pip install 'touchline[testing]'")


@pytest.mark.integration
def test_the_command_shows_every_promise(tmp_path: Path):
    told = ("-m", "deploy", "connectors", "test", "touchpoint", "--json")
    status, said = python(*told, cwd=tmp_path)
    found = json.loads(said)
    assert status == 0, said
    assert found["connector"] == "touchpoint"
    assert "a foreign secret is refused" in found["kept"]
    assert {one["why"] for one in found["not_applicable"]} == {
        "the provider does not sign all of the body",
        "the provider signs no time",
        "the contract names no account of the company in its payloads",
        "the contract names no field that only helps",
        "the contract names no field that differs between deliveries",
        "the contract names no pair of payloads",
    }
    assert found["broken"] == []
    assert found["events_per_second"] > 0
    assert not list(tmp_path.iterdir()), "it leaves no file"


@pytest.mark.integration
def test_a_broken_promise_is_shown_with_its_reason(tmp_path: Path):
    env = almost(tmp_path / "site")
    # Tests and settings of the folder that one stands in are no part of it.
    (tmp_path / "test_other.py").write_text("def test_it():\n    assert False\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    status, said = python("-m", "deploy", "connectors", "test", "almost", cwd=tmp_path, env=env)
    assert status == 1
    assert "  ok      the same request twice gives the same events\n" in said
    assert "  BROKEN  a foreign secret is refused\n" in said
    assert "assert not connector.verify(request, RECEIVED_MS), name" in said
    assert "\nalmost: 30 promises kept, 4 broken\n" in said


@pytest.mark.integration
def test_pytest_runs_a_contract_beside_other_tests(tmp_path: Path):
    env = almost(tmp_path / "site")
    (tmp_path / "test_own.py").write_text("def test_it():\n    pass\n")
    told = ("-m", "pytest", "-p", "no:cacheprovider", "--touchline-connector")
    status, said = python(*told, "almost", "-k", "test_it or secret", cwd=tmp_path, env=env)
    assert status == 1
    assert "test_own.py ." in said
    assert "FAILED touchline::almost::test_a_foreign_secret_is_refused" in said
    status, said = python(*told, "line", "-k", "it or throughput", cwd=tmp_path, env=env)
    assert status == 0, said
    assert "line: " in said
    assert "events a second" in said
    status, said = python(*told, "nothing", cwd=tmp_path, env=env)
    assert status == 4
    assert "there is no connector 'nothing'" in said


@pytest.mark.integration
def test_a_module_of_two_lines_runs_a_contract(tmp_path: Path):
    (tmp_path / "test_line.py").write_text(
        "from ingest.connectors.line.contract import LineContract\n\n\n"
        "class TestLine(LineContract): ...\n"
    )
    told = ("-m", "pytest", "-p", "no:cacheprovider", "-k", "test_a_foreign_secret_is_refused")
    status, said = python(*told, cwd=tmp_path)
    assert status == 0, said
    assert "1 passed" in said
