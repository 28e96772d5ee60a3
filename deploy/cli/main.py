"""The command line `touchline`.

Exit status: 0 on success; 1 on a failure, reported in one line on stderr; 2 on wrong usage.
"""

from __future__ import annotations

import importlib
import keyword
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version

import click

from deploy.cli.options import config_option, leading_data_option, take_shared_options
from schemas.errors import TouchlineError

#: Command -> its description. Its module is `deploy.cli.commands.<name>`, with `_` appended if the
#: name is a Python keyword.
COMMANDS = {
    "demo": "Run the whole pipeline on sample data and print a report.",
    "up": "Run gateway, worker and sink, with an embedded Kafka and ClickHouse if none are named.",
    "gateway": "Run the HTTP gateway.",
    "worker": "Run the stream processing stages.",
    "sink": "Run the writer to ClickHouse.",
    "pull": "Pull the sources that are polled rather than pushed.",
    "local-clickhouse": "Run ClickHouse's engine on a local folder, with its HTTP interface.",
    "local-kafka": "Run Apache Kafka on a local folder (needs Java 17 and, once, Maven).",
    "setup": "Create topics and tables; safe to run again.",
    "rebuild": "Recompute all derived data, beside the running system.",
    "check": "Check all configuration and print each problem with file and line.",
    "import": "Import a file of touches.",
    "connectors": "List, create, test and try the connectors, the plug-ins for channels.",
    "segments": "Show the segment definitions.",
    "profile": "Show a customer.",
    "identity": "Explain why identifiers are one person, and undo it.",
    "rejected": "List refused events and replay them.",
    "plan": "Show events that differ from the tracking plan.",
    "tap": "Show accepted touches as they arrive.",
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
        take_shared_options(command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands, without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=LazyGroup,
    params=[config_option(), leading_data_option()],
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(version("touchline"))
def cli() -> None:
    """Every customer touch, as profiles, segments and metrics in ClickHouse."""


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
