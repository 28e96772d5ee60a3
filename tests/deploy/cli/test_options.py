"""`--config` and `--data`: in front of the command's name and behind it, for all commands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import pytest

from deploy.cli.main import COMMANDS, cli, run
from deploy.cli.options import SharedOptions

Capture = pytest.CaptureFixture[str]


def tree() -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command, with its names, that does something."""
    context = cli.make_context("touchline", ["check"])

    def below(
        command: click.Command, names: tuple[str, ...]
    ) -> Iterator[tuple[tuple[str, ...], click.Command]]:
        if isinstance(command, click.Group):
            for name, one in command.commands.items():
                yield from below(one, (*names, name))
        else:
            yield names, command

    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        yield from below(command, (name,))


def takes_data(command: click.Command) -> bool:
    return any(option.name == "data" and option.expose_value for option in command.params)


ALL = [names for names, _ in tree()]
WITH_DATA = [names for names, command in tree() if takes_data(command)]
WITHOUT_DATA = [names for names in ALL if names not in WITH_DATA]

REQUIRED = {
    ("connectors", "new"): ["name"],
    ("connectors", "test"): ["name"],
    ("connectors", "try"): ["name", "--payload", "-"],
}


def parse(
    names: Sequence[str], front: Sequence[str] = (), behind: Sequence[str] = ()
) -> click.Context:
    """The context of a command; missing arguments are not complained of."""
    context = cli.make_context("touchline", [*front, names[0]])
    command: click.Command | None = cli
    for name, rest in zip(names, [*([name] for name in names[1:]), behind], strict=True):
        assert isinstance(command, click.Group)
        command = command.get_command(context, name)
        assert command is not None
        context = command.make_context(name, list(rest), context, resilient_parsing=True)
    return context


def config_of(context: click.Context) -> Path | None:
    return SharedOptions.of(context).config


@pytest.mark.parametrize("names", ALL, ids=" ".join)
def test_every_command_takes_the_configuration_in_both_places(names: tuple[str, ...]):
    assert config_of(parse(names)) is None
    assert config_of(parse(names, ["--config", "a.yaml"])) == Path("a.yaml")
    assert config_of(parse(names, [], ["--config", "b.yaml"])) == Path("b.yaml")
    both = parse(names, ["--config", "a.yaml"], ["--config", "b.yaml"])
    assert config_of(both) == Path("b.yaml"), "the later one counts"


@pytest.mark.parametrize("names", WITH_DATA, ids=" ".join)
def test_a_command_with_a_folder_takes_it_in_both_places(names: tuple[str, ...]):
    default = parse(names).params["data"]
    assert default != Path("a")
    assert parse(names, ["--data", "a"]).params["data"] == Path("a")
    assert parse(names, [], ["--data", "b"]).params["data"] == Path("b")
    assert parse(names, ["--data", "a"], ["--data", "b"]).params["data"] == Path("b")


@pytest.mark.parametrize("names", WITHOUT_DATA, ids=" ".join)
def test_a_command_without_a_folder_refuses_one_in_both_places(
    names: tuple[str, ...], capsys: Capture
):
    command = [*names, *REQUIRED.get(names, ())]
    for arguments in (["--data", "a", *command], [*command, "--data", "a"]):
        assert run(arguments) == 2
        assert "this command has no option --data" in capsys.readouterr().err


def test_these_commands_have_a_folder():
    assert {" ".join(names) for names in WITH_DATA} == {
        "demo", "up", "pull", "local-clickhouse", "local-kafka", "import", "tap",
        "profile show", "identity explain", "identity split",
        "rejected list", "rejected show", "rejected replay", "plan violations",
    }  # fmt: skip


@pytest.mark.parametrize("group", [names[0] for names in ALL if len(names) > 1])
def test_a_group_takes_both_too(group: str, capsys: Capture):
    assert run([group, "--help"]) == 0
    said = capsys.readouterr().out
    assert "--config FILE" in said
    assert "--data DIRECTORY" in said


def test_the_file_behind_the_name_is_the_one_that_is_read(tmp_path: Path, capsys: Capture):
    good, wrong = tmp_path / "good.yaml", tmp_path / "wrong.yaml"
    good.write_text("namespace: ok\n")
    wrong.write_text("namespace: ok\ngateway: {port: none}\n")
    assert run(["check", "--offline", "--config", str(good)]) == 0
    assert run(["--config", str(wrong), "check", "--offline", "--config", str(good)]) == 0
    capsys.readouterr()
    assert run(["--config", str(good), "check", "--offline", "--config", str(wrong)]) == 1
    assert f"{wrong}:2: gateway.port: " in capsys.readouterr().err
