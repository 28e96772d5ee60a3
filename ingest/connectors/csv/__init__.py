"""Files of rows with a header. See docs/channels/csv.md."""

from ingest.connectors.csv.connector import CsvFile, CsvOptions, TableOptions

__all__ = ["CsvFile", "CsvOptions", "TableOptions"]
