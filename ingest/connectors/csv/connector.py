"""CSV files: a row a touch, by a mapping of its columns (docs/channels/csv.md)."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import AliasChoices, ConfigDict, Field, PlainValidator, StringConstraints

from ingest.connector import Context, Options, Result
from ingest.kit.mapping import Mapping
from ingest.kit.mapping_yaml import read_mapping
from ingest.kit.table_connector import RowCells, Table, TableOptions
from ingest.kit.tables import Dialect


class CsvOptions(TableOptions):
    """`map` maps the columns. `header`: the first line names the columns (true), the columns are
    numbered from 1 (false), or a list of the names that the file itself does not have.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    map: Annotated[Mapping, PlainValidator(read_mapping)] = Field(
        validation_alias=AliasChoices("map", "mapping")
    )
    header: bool | tuple[Annotated[str, StringConstraints(min_length=1)], ...] = True


class CsvFile(Table):
    """A CSV file whose columns are mapped."""

    name: ClassVar[str] = "csv"
    doc: ClassVar[str] = "Files: CSV with a mapping of its columns"
    options: ClassVar[type[Options]] = CsvOptions

    def __init__(self, options: CsvOptions) -> None:
        header = options.header
        names = header if isinstance(header, tuple) else None
        dialect = Dialect(options.encoding, options.delimiter)
        super().__init__(dialect, names, numbered=header is False)
        self._map = options.map

    def wanted(self) -> frozenset[str]:
        """Return the columns of the mapping."""
        return frozenset() if self._numbered else self._map.columns

    def touch(self, row: dict[str, str], event_id: str, payload: bytes, context: Context) -> Result:
        """See `Table`."""
        return self._map.result(RowCells(row), event_id, lambda: payload, context.source)
