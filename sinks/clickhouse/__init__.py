"""ClickHouse: the client, the writer that fills the tables, migrations and epochs."""
