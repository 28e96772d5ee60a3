"""`touchline connectors new`: a package that works, wherever it is installed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.cli.main import run
from ingest.testing.scaffold import MAX_NAME_LENGTH
from tests.support.plug_in import Installed

NAME = "acme_chat"
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("new")
    assert run(["connectors", "new", NAME, "--folder", str(folder / NAME)]) == 0
    return Installed(folder / NAME, folder / "site")


@pytest.mark.integration
def test_it_is_in_the_list(installed: Installed):
    status, said = installed.connectors("list", "--json")
    assert status == 0, said
    (found,) = [one for one in json.loads(said) if one["name"] == NAME]
    assert found == {
        "name": NAME,
        "package": "touchline-acme-chat",
        "doc": "Chat: Acme Chat's signed webhook",
        "options": ["signing_secret"],
    }


@pytest.mark.integration
def test_it_can_be_tried(installed: Installed):
    payload = "touchline_acme_chat/payloads/messages.json"
    status, said = installed.connectors("try", NAME, "--payload", payload)
    assert status == 0, said
    assert said.startswith("2 touchpoints, 0 rejections\n")
    assert "email               hanako@example.com  (leads)" in said


@pytest.mark.integration
def test_it_keeps_its_promises(installed: Installed):
    status, said = installed.connectors("test", NAME, "--json")
    assert status == 0, said
    assert len(json.loads(said)["kept"]) > 20


@pytest.mark.integration
def test_its_own_tests_pass_and_its_code_is_clean(installed: Installed):
    installed.assert_clean()


@pytest.mark.parametrize("name", ["ab", "a_b_c_d_e_f_g_h_i_j_k_lm", "abcdefghijklmnopqrstuvwx"])
def test_names_short_and_long_fit_its_lines(name: str, tmp_path: Path):
    assert len(name) in (2, MAX_NAME_LENGTH)
    assert run(["connectors", "new", name, "--folder", str(tmp_path / name)]) == 0
    for command in (("format", "--check"), ("check",)):
        told = [sys.executable, "-m", "ruff", *command, "--no-cache", "."]
        ended = subprocess.run(told, cwd=tmp_path / name, capture_output=True, check=False)
        assert ended.returncode == 0, ended.stdout


def test_nothing_of_the_template_is_left(tmp_path: Path, capsys: Capture):
    assert run(["connectors", "new", "big_shop", "--folder", str(tmp_path / "made")]) == 0
    files = [file for file in (tmp_path / "made").rglob("*") if file.is_file()]
    said = capsys.readouterr().out.splitlines()
    assert sorted(said[:-1]) == sorted(map(str, files))
    assert said[-1].endswith("then touchline connectors test big_shop")
    for file in files:
        assert "acme" not in f"{file}{file.read_text()}".lower()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Acme", "is no name for a connector"),
        ("acme-chat", "is no name for a connector"),
        ("1acme", "is no name for a connector"),
        ("acme__chat", "is no name for a connector"),
        ("../acme", "is no name for a connector"),
        ("", "is no name for a connector"),
        ("a" * (MAX_NAME_LENGTH + 1), "at most 24 characters"),
        ("line", "there is a connector 'line' already"),
        ("email", "'email' is the name of a kind of identifier"),
        ("acme", "made exists already"),
    ],
)
def test_a_name_that_cannot_be_is_refused(name: str, said: str, tmp_path: Path, capsys: Capture):
    folder = tmp_path / "made"
    if name == "acme":
        folder.mkdir()
    assert run(["connectors", "new", name, "--folder", str(folder)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert not folder.exists() or not list(folder.iterdir())
