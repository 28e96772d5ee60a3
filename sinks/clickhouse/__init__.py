"""ClickHouse as a destination: each topic of rows goes to the table of the same shape.

tables   the tables and the topics that fill them; the databases' names
config   the configuration of the sink
writer   the consumer of each topic
batch    the content of one insert
client   all access to ClickHouse, and its errors in three classes
rejects  rows that ClickHouse cannot read
migrate  applies the numbered SQL files in `migrations`
epochs   the computation of the derived data that the views show
"""
