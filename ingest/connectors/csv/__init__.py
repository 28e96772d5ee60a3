"""CSV files of any system: a touch a row, by a mapping of the columns. See docs/channels/csv.md."""

from ingest.connectors.csv.connector import CsvFile, CsvOptions

__all__ = ["CsvFile", "CsvOptions"]
