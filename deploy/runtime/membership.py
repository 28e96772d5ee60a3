"""Duties of a process of one generation: its end, its state folder, a check of its policy."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
from pathlib import Path

import structlog

from deploy.config.identity_policy import differences, parse_policy
from deploy.config.settings import Settings
from deploy.kafka.control import Control, Generation, wait_for, watch

_log = structlog.get_logger(__name__)


def wait_for_generation(settings: Settings, which: str) -> Generation:
    """Wait for the epoch to work on and return it; a signal meanwhile ends the process cleanly."""
    before = {
        number: signal.signal(number, lambda *_: sys.exit(0))
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        return wait_for(settings.kafka, settings.namespace, which)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def exit_when_generation_ends(settings: Settings, present: Generation) -> None:
    """End this process as by SIGTERM when its epoch is no longer present or next.

    The supervisor restarts it, and it then reads the new names.
    """
    ending = threading.Event()

    def changed(control: Control) -> None:
        # An empty topic is no reason to end: the broker has lost its data.
        if control.present is None or control.names(present.epoch) or ending.is_set():
            return
        ending.set()
        _log.info("epoch_over", epoch=present.epoch, present=control.present.epoch)
        os.kill(os.getpid(), signal.SIGTERM)

    if not settings.kafka.embedded:  # which never has another generation
        watch(settings.kafka, settings.namespace, changed)


def state_folder(state: Path, deployment: str, namespace: str, stage: str) -> Path:
    """Return the folder of a stage's local state, one per generation; delete those of others.

    Offsets of one generation are meaningless in another one.
    """
    own = namespace.removeprefix(deployment).removeprefix(".")
    present = state / own if own else state
    for folder in {state, *state.glob("g[0-9]*")} - {present}:
        for rows in folder.glob(f"{stage}-*"):
            shutil.rmtree(rows, ignore_errors=True)
    return present


def warn_if_policy_differs(settings: Settings, present: Generation) -> None:
    """Log once if the configured identity policy differs from that of the epoch."""
    configured = settings.identity.policy()
    changed = [
        ".".join(map(str, place))
        for place, _ in differences(parse_policy(present.policy, configured), configured)
    ]
    if changed:
        _log.warning("identity_policy_differs", settings=changed, hint="run touchline rebuild")
