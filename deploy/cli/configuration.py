"""The configuration of a command, as its options name it."""

from __future__ import annotations

from pathlib import Path

import click

from deploy.cli.options import SharedOptions
from deploy.config.settings import Configuration, load
from deploy.local.stack_file import at_running_stack
from deploy.runtime import logs


def load_configuration(
    context: click.Context, process: str, data: Path | None = None
) -> Configuration:
    """Load the configuration and set up logs for this process. Raises `ConfigurationError`.

    With `data`, the servers and sources that it does not name are those of the `touchline up` that
    runs on this folder.
    """
    loaded = load(SharedOptions.of(context).config)
    logs.configure(loaded.settings.logs, process)
    if data is None:
        return loaded
    return loaded.model_copy(update={"settings": at_running_stack(loaded.settings, data)})
