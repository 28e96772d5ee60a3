"""Child processes that never outlive this one."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Ask Linux to end this process when its parent ends, even by SIGKILL; elsewhere do nothing.

    Meant as `preexec_fn`. The kernel ties it to the *thread* that forks: start children from a
    thread that lives as long as the parent, usually the main one.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def stop(process: subprocess.Popen[bytes], grace: float = 10.0) -> int:
    """Stop a child: SIGTERM, then SIGKILL after `grace` seconds; return its exit status."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(grace)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()
