"""The way from Kafka to ClickHouse: storage, views, migrations and the consumer that fills them."""
