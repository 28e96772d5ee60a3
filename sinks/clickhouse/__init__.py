"""ClickHouse as a destination: each topic of rows goes to the table of the same shape.

- `tables`: the tables and the topics that fill them; the databases' names
- `writer`: the consumer of each topic; `config` configures it, `batch` holds what one insert takes
- `client`: all access to ClickHouse, and its errors in three classes
- `rejects`: rows that ClickHouse cannot read
- `migrate`: applies the numbered SQL files in `migrations`
- `epochs`: the computation of the derived data that the views show
"""
