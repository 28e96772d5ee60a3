"""Numbered SQL files, each applied once.

A file `NNNN_name.sql` in `migrations/` holds statements that end with a semicolon at the end of a
line; `{storage}` and `{bi}` stand for the databases. Each statement must be repeatable (IF NOT
EXISTS, OR REPLACE), so that an interrupted run and two concurrent runs both end well. An applied
file never changes again: its checksum identifies it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from importlib import resources
from typing import NamedTuple

from schemas.errors import TouchlineError
from sinks.clickhouse.client import ClickHouse, RequestRejected
from sinks.clickhouse.tables import databases, quoted

_NAME = re.compile(r"(\d{4})_(\w+)\.sql")


class MigrationError(TouchlineError):
    """The migrations cannot be applied; the message is one line and says what to do."""


class Migration(NamedTuple):
    """One file: its number, its name, its text."""

    number: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        """Return the SHA-256 of the text, before the databases are inserted."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def statements(self, namespace: str) -> list[str]:
        """Return the statements, with the deployment's databases inserted."""
        storage, bi = databases(namespace)
        text = self.text.replace("{storage}", quoted(storage)).replace("{bi}", quoted(bi))
        return [part.strip() for part in re.split(r";[ \t]*(?:\n|$)", text) if _has_code(part)]


def migrations() -> list[Migration]:
    """Return all migrations of this version, in order.

    Raises `MigrationError` on a missing or duplicate number.
    """
    found = []
    for file in resources.files("sinks.clickhouse.migrations").iterdir():
        if match := _NAME.fullmatch(file.name):
            found.append(Migration(int(match[1]), match[2], file.read_text("utf-8")))
    found.sort()
    if [migration.number for migration in found] != list(range(1, len(found) + 1)):
        raise MigrationError("migrations are not numbered 1, 2, 3… without gaps")
    return found


def migrate(
    clickhouse: ClickHouse,
    namespace: str = "",
    *,
    dry_run: bool = False,
    known: Sequence[Migration] | None = None,
) -> list[Migration]:
    """Apply the missing migrations and return them, in order; with `dry_run` only return them.

    Raises `MigrationError` if an applied migration differs from the one known here, or if the
    database is of a newer version, and `sinks.clickhouse.client.ClickHouseError`.
    """
    storage, bi = databases(namespace)
    known = migrations() if known is None else known
    if not dry_run:
        _prepare(clickhouse, storage, bi)
    applied = _applied(clickhouse, storage)
    _verify(known, applied, storage)
    missing = [migration for migration in known if migration.number not in applied]
    if dry_run:
        return missing
    for migration in missing:
        for statement in migration.statements(namespace):
            clickhouse.run(statement)
        clickhouse.run(
            "INSERT INTO {db:Identifier}.migrations (number, name, checksum) "
            "SELECT {number:UInt32}, {name:String}, {checksum:String}",
            {
                "db": storage,
                "number": migration.number,
                "name": migration.name,
                "checksum": migration.checksum,
            },
        )
    return missing


class Schema:
    """A check that the tables are those of this version, before anything is written to them.

    Fields that a table does not have are left out of its rows without an error, so a process that
    runs before the `setup` of its release must not write.
    """

    def __init__(self, clickhouse: ClickHouse, namespace: str) -> None:
        self._clickhouse = clickhouse
        self._storage = databases(namespace).storage
        self._newest = migrations()[-1]
        self._there = False

    def require(self) -> None:
        """Return if every migration of this version was applied, even if newer ones were too.

        Asks ClickHouse until the check has passed once. Raises `RequestRejected`, which says what
        to do, and the errors of `ClickHouse`.
        """
        if self._there:
            return
        applied = _applied(self._clickhouse, self._storage)
        number, name, _ = self._newest
        if max(applied, default=0) < number:
            raise RequestRejected(
                f"database {self._storage} lacks migration {number:04d}_{name}, which this version "
                "needs: run touchline setup"
            )
        self._there = True


def _prepare(clickhouse: ClickHouse, storage: str, bi: str) -> None:
    for name in (storage, bi):
        clickhouse.run(f"CREATE DATABASE IF NOT EXISTS {quoted(name)}")
    clickhouse.run(
        f"CREATE TABLE IF NOT EXISTS {quoted(storage)}.migrations ("
        "number UInt32 COMMENT 'Number of the migration', "
        "name String COMMENT 'Its name', "
        "checksum String COMMENT 'SHA-256 of the file as it was applied', "
        "applied_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'When, UTC'"
        ") ENGINE = ReplacingMergeTree ORDER BY number COMMENT 'Migrations that were applied'"
    )


def _applied(clickhouse: ClickHouse, storage: str) -> dict[int, tuple[str, str]]:
    """Return number -> (name, checksum) of the applied migrations; empty without a table."""
    exists = clickhouse.rows(
        "SELECT count() AS n FROM system.tables "
        "WHERE database = {storage:String} AND name = 'migrations'",
        {"storage": storage},
    )
    if not exists[0]["n"]:
        return {}
    rows = clickhouse.rows(
        "SELECT number, name, checksum FROM {db:Identifier}.migrations ORDER BY applied_at",
        {"db": storage},
    )
    return {row["number"]: (row["name"], row["checksum"]) for row in rows}


def _verify(known: Sequence[Migration], applied: dict[int, tuple[str, str]], storage: str) -> None:
    by_number = {migration.number: migration for migration in known}
    for number, (name, checksum) in sorted(applied.items()):
        migration = by_number.get(number)
        if migration is None:
            raise MigrationError(
                f"database {storage} has migration {number:04d}_{name}, which this version does "
                "not know: it was set up by a newer version of Touchline; use that one"
            )
        if migration.checksum != checksum:
            raise MigrationError(
                f"migration {number:04d}_{migration.name} has changed since it was applied to "
                f"database {storage}; put the file back as it was and make a new migration"
            )


def _has_code(part: str) -> bool:
    return any(line.strip() and not line.strip().startswith("--") for line in part.splitlines())
