"""The tutorial does what it says: its files and commands are carried out, in their order."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from deploy.cli.main import run
from tests.ingest.connectors.mapped.page import PAGE, File, section, steps

Capture = pytest.CaptureFixture[str]
EVERY = (
    "From an example to live data",
    "Several kinds of events: Calendly",
    "Presets",
)


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TOUCHLINE_CONFIG", raising=False)


def is_printed(expected: str, printed: str) -> bool:
    """Return whether it is what the page shows, in which … stands for the rest of a line."""
    pattern = re.escape(expected).replace("…", ".*")
    return re.fullmatch(pattern, printed) is not None


@pytest.mark.parametrize("heading", EVERY)
def test_each_step_gives_what_the_page_shows(
    heading: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
):
    commands = 0
    for step in section(heading):
        if isinstance(step, File):
            Path(step.name).write_text(step.text, encoding="utf-8")
        elif step.line.startswith("export "):
            name, _, value = step.line.removeprefix("export ").partition("=")
            monkeypatch.setenv(name, value)
        else:
            words = shlex.split(step.line)
            assert words[0] == "touchline"
            assert run(words[1:]) == 0
            printed = capsys.readouterr().out
            assert is_printed(step.output, printed), printed
            assert run(["check", "--offline"]) == 0
            capsys.readouterr()
            commands += 1
    assert commands


def test_no_block_of_the_page_is_left_out():
    text = PAGE.read_text(encoding="utf-8")
    taken = sum(len(section(heading)) for heading in EVERY)
    assert taken == len(steps(text))
    blocks = re.findall(r"^```(\w+)$", text, re.MULTILINE)
    files = sum(isinstance(step, File) for step in steps(text))
    assert files + blocks.count("console") == len(blocks)
