"""`python -m ingest.testing NAME`: what `touchline connectors test` runs, in a process of its own.

Pytest runs in an empty folder and without other plug-ins, so that the current project changes
nothing and no file is left.
"""

from __future__ import annotations

import io
import json
import os
import sys
import tempfile
from contextlib import redirect_stdout
from typing import Any

import pytest
from hypothesis.configuration import set_hypothesis_home_dir

from ingest.testing.plugin import OPTION, THROUGHPUT

_ARGUMENTS = (
    "--disable-plugin-autoload",
    "-p",
    "ingest.testing.plugin",
    "-p",
    "no:cacheprovider",
    "--tb=short",
)


class Report:
    """The result of each promise; shown as it goes unless the answer is for a program."""

    def __init__(self, name: str, *, shown: bool) -> None:
        self._out = sys.stdout if shown else None
        self.document: dict[str, Any] = {
            "connector": name,
            "kept": [],
            "broken": [],
            "not_applicable": [],
            THROUGHPUT: None,
        }

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """See pytest: a promise has three reports, of which the call counts if it came to it."""
        suite, test = report.nodeid.split("::")[-2:]
        promise = test.removeprefix("test_").replace("_", " ")
        if variant := suite.removeprefix(self.document["connector"]).strip():
            promise = f"{variant}: {promise}"
        if report.failed:
            self._add("broken", "BROKEN", promise, report.longreprtext)
        elif report.skipped:
            why = str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else ""
            self._add("not_applicable", "-", promise, why.removeprefix("Skipped: "))
        elif report.when == "call" and report.user_properties:
            self.document.update(report.user_properties)
        elif report.when == "call":
            self.document["kept"].append(promise)
            self._say(f"  ok      {promise}")

    def _add(self, kind: str, sign: str, promise: str, why: str) -> None:
        self.document[kind].append({"promise": promise, "why": why})
        self._say(f"  {sign:<7} {promise}" + (f" ({why})" if kind == "not_applicable" else ""))

    def _say(self, line: str) -> None:
        if self._out:
            print(line, file=self._out, flush=True)

    def end(self) -> None:
        """Print the failures in full, and the sum."""
        found = self.document
        if self._out is None:
            print(json.dumps(found, ensure_ascii=False, indent=2))
            return
        for broken in found["broken"]:
            print(f"\nBROKEN: {broken['promise']}\n{broken['why']}")
        print(
            f"\n{found['connector']}: {len(found['kept'])} promises kept, "
            f"{len(found['broken'])} broken"
        )
        if found[THROUGHPUT] is not None:
            print(f"{found[THROUGHPUT]:,} events a second, from the signature to what is published")


def main(name: str, *options: str) -> int:
    """Run the suite; return 0 if every promise is kept."""
    report = Report(name, shown="--json" not in options)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        set_hypothesis_home_dir(folder)
        with redirect_stdout(io.StringIO()):
            status = pytest.main([*_ARGUMENTS, OPTION, name], plugins=[report])
        os.chdir("/")
    report.end()
    return int(status != pytest.ExitCode.OK)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
