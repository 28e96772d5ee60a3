"""The command line `touchline`.

Exit status: 0 on success; 1 on a failure, reported in one line on stderr; 2 on wrong usage.
"""

from __future__ import annotations

import importlib
import keyword
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

import click

from deploy.cli.options import Options
from schemas.errors import TouchlineError

#: Command -> its description. Its module is `deploy.cli.commands.<name>`, with `_` appended if the
#: name
#: is a Python keyword.
COMMANDS = {
    "demo": "Run the whole pipeline on sample data and print a report.",
    "up": "Run gateway, worker and sink, with an embedded Kafka and ClickHouse if none are named.",
    "gateway": "Run the HTTP gateway.",
    "worker": "Run the stream processing stages.",
    "sink": "Run the writer to ClickHouse.",
    "pull": "Pull the sources that have to be asked.",
    "local-clickhouse": "Run ClickHouse's engine on a local folder, with its HTTP interface.",
    "local-kafka": "Run Apache Kafka on a local folder (needs Java 17 and, once, Maven).",
    "setup": "Create topics and tables; safe to run again.",
    "rebuild": "Compute everything that is derived anew, beside the running system.",
    "check": "Read all configuration and say what is wrong.",
    "import": "Import a file of touches.",
    "connectors": "The plug-ins for channels.",
    "segments": "The segment definitions.",
    "profile": "Look at a customer.",
    "identity": "Why identifiers are one person; undo it.",
    "rejected": "What was refused: look at it, replay it.",
    "plan": "What differs from the tracking plan.",
    "tap": "Show accepted touches as they pass.",
    "schema": "Print JSON Schemas.",
}


class LazyGroup(click.Group):
    """A group that imports a command's module only when the command is called, for a fast start."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return all commands, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command, or None if there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        name += "_" * keyword.iskeyword(name)
        module = importlib.import_module(f"deploy.cli.commands.{name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands, without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Configuration file (otherwise TOUCHLINE_CONFIG, otherwise ./touchline.yaml if any).",
)
@click.version_option(version("touchline"))
@click.pass_context
def cli(context: click.Context, config: Path | None) -> None:
    """Every customer touch, as profiles, segments and metrics in ClickHouse."""
    context.obj = Options(config)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and end the process with its exit status."""
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    return exit_status(lambda: cli.main(arguments, prog_name="touchline", standalone_mode=False))


def exit_status(call: Callable[[], object]) -> int:
    """Call it and return the exit status; report wrong usage and failures on stderr.

    A bug is no failure: its exception passes, so that Python shows the trace.
    """
    try:
        result = call()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return 130
    except (TouchlineError, OSError) as error:
        for line in str(error).splitlines() or [type(error).__name__]:
            click.echo(f"touchline: {line}", err=True)
        return 1
    return result if isinstance(result, int) else 0
