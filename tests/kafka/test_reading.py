"""Files and mailboxes on the whole system: read once, whatever is killed meanwhile."""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.local.kafka import LocalKafka
from tests.support.clickhouse import LocalClickHouse
from tests.support.mail_server import PASSWORD, USER, MailServer
from tests.support.system import System
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(600)]
ROWS, WITHOUT_TIME = 9_000, 6
MAP: dict[str, Any] = {
    "type": "order_completed",
    "channel": "store",
    "occurred_at": "at",
    "identifiers": {"loyalty_id": "card"},
    "value": "total",
}


@pytest.fixture
def system(
    kafka_broker: LocalKafka, clickhouse: LocalClickHouse, namespace: str, tmp_path: Path
) -> Iterator[System]:
    servers = kafka_broker.bootstrap_servers
    with System(tmp_path / "system", servers, clickhouse, namespace) as running:
        yield running


def started(system: System) -> None:
    system.setup()
    system.ready(system.worker("worker"), system.sink())


def test_a_file_whose_import_is_killed_again_and_again_is_in_once(system: System):
    system.configure(sources={"till": {"connector": "csv", "currency": "JPY", "map": MAP}})
    started(system)
    file = system.folder / "till.csv"
    lines = [f"L-{n % 97},2026-10-{n % 28 + 1:02d}T10:00:00+09:00,{n}" for n in range(ROWS)]
    for n in range(WITHOUT_TIME):
        lines[n * (ROWS // WITHOUT_TIME)] = f"L-{n},,5"
    file.write_text("\n".join(["card,at,total", *lines]) + "\n")

    killed(system, file)
    killed(system, file)
    last = imported(system, file)
    assert last["already_imported"] + last["rows"] == ROWS
    assert 0 < last["already_imported"] < ROWS
    system.drained()
    good = ROWS - WITHOUT_TIME
    assert counts(system) == {"touches": good, "counted": good, "refused": WITHOUT_TIME}

    assert imported(system, file)["rows"] == 0
    with file.open("a") as more:
        more.write("L-1,2026-11-01,7\nL-2,2026-11-01,7\n")
    assert imported(system, file)["accepted"] == 2

    mended = {**MAP, "occurred_at": {"column": "at", "optional": True}}
    system.configure(sources={"till": {"connector": "csv", "currency": "JPY", "map": mended}})
    done = system.run("rejected", "replay", "--apply", "--json")
    assert done.returncode == 0, done.stderr
    system.drained()
    every = ROWS + 2
    assert counts(system) == {"touches": every, "counted": every, "refused": WITHOUT_TIME}


def test_a_mailbox_is_read_on_while_mail_comes_in_and_the_puller_is_killed(
    system: System, mail_server: MailServer
):
    with mail_server.user() as client:
        client.create("Inquiries")
    system.configure(
        sources={
            "support": {
                "connector": "mailbox",
                "host": mail_server.host,
                "port": mail_server.port,
                "tls": "none",
                "username": USER,
                "password": PASSWORD,
                "folder": "Inquiries",
                "every_s": 1,
            }
        }
    )
    started(system)

    def deliver(*numbers: int) -> None:
        for n in numbers:
            body = f"From: c{n % 3}@example.com\r\nMessage-ID: <m{n}@example.com>\r\n\r\n"
            mail_server.deliver(body.encode(), "Inquiries")

    deliver(1, 2)
    puller = system.command("pull-1", "pull")
    seen(system, 2)
    deliver(3)
    seen(system, 3)
    puller.kill()
    system.processes.remove(puller)
    deliver(4, 5)
    puller = system.command("pull-2", "pull")
    seen(system, 5)
    assert puller.stop() == 0
    once = system.run("pull", "--once")
    assert once.returncode == 0, once.stderr
    system.drained()
    assert counts(system) == {"touches": 5, "counted": 5, "refused": 0}
    assert PASSWORD not in json.dumps(system.logs())


def killed(system: System, file: Path) -> None:
    """An import that is killed as soon as something of it has arrived."""
    before = counts(system)["touches"]
    process = system.command("import", "import", str(file), "--source", "till")

    def arrived() -> bool:
        return counts(system)["touches"] > before or process.popen.poll() is not None

    with contextlib.suppress(ProcessLookupError):
        wait_until(arrived, 120, 0.02)
        process.popen.send_signal(signal.SIGKILL)
    process.popen.wait(20)
    system.processes.remove(process)


def imported(system: System, file: Path) -> dict[str, Any]:
    done = system.run("import", str(file), "--source", "till", "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def seen(system: System, number: int) -> None:
    read: Callable[[], object] = lambda: counts(system)  # noqa: E731
    wait_until(lambda: counts(system)["touches"] == number, 120, 0.2, read)


def counts(system: System) -> dict[str, int]:
    """Touches as they are, as the profiles have counted them, and refusals."""
    found: dict[str, int] = {}
    for name, sql in (
        ("touches", "SELECT count() AS n FROM {bi}.touchpoints"),
        ("counted", "SELECT sum(touchpoints) AS n FROM {bi}.profiles"),
        ("refused", "SELECT uniqExact(rejected_id) AS n FROM {bi}.rejected_touchpoints"),
    ):
        (row,) = system.view(sql)
        found[name] = int(row["n"])
    return found
