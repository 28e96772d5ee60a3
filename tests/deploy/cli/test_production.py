"""Production runs without the extra `local`: chDB, confluent-kafka and rich are not installed."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from deploy.cli.main import COMMANDS, run
from deploy.local.extra import BROKER, ENGINE, REPORT

ROOT = Path(__file__).parents[3]
LOCAL = ("demo", "up", "local-clickhouse", "local-kafka")
PRODUCTION = [name for name in COMMANDS if name not in LOCAL]
#: Bodies of the processes, which their commands import.
PROCESSES = ("gateway", "worker", "sink", "pull")
EXTRA = (BROKER, ENGINE, REPORT)
Capture = pytest.CaptureFixture[str]

WITHOUT_EXTRA = f"""
import importlib, sys
from importlib.abc import MetaPathFinder

class Refuse(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in {EXTRA}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Refuse())
from deploy.cli.main import run
for command in {PRODUCTION}:
    assert run([command, "--help"]) == 0
for process in {PROCESSES}:
    importlib.import_module(f"deploy.runtime.{{process}}")
importlib.import_module("deploy.operations.setup")
assert not {{*sys.modules}} & {{*{EXTRA}}}
"""


def test_no_production_command_imports_the_extra():
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_EXTRA], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("command", "packages"),
    [
        (["up"], "confluent_kafka, chdb"),
        (["demo"], "confluent_kafka, chdb, rich"),
        (["local-clickhouse"], "chdb"),
    ],
)
def test_the_embedded_stack_says_what_to_install(
    command: list[str],
    packages: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
):
    monkeypatch.chdir(tmp_path)
    for name in EXTRA:
        monkeypatch.setitem(sys.modules, name, None)
    assert run(command) == 1
    assert capsys.readouterr().err == (
        f"touchline: this needs packages that are not installed ({packages}): "
        "pip install 'touchline[local]'\n"
    )


def test_the_extra_is_these_packages_and_tests_have_it():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    names = {line.partition(">")[0] for line in extras["local"]}
    installed = packages_distributions()
    assert len(names) == len(EXTRA)
    assert all(names & {*installed[package]} for package in EXTRA)
    assert not names & {line.partition(">")[0] for line in project["dependencies"]}
    assert any(line.startswith("touchline[local") for line in extras["dev"])
