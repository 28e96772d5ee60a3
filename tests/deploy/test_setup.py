"""`setup` on real servers: topics, tables, epoch; a second run changes nothing."""

from __future__ import annotations

import json

import pytest

from deploy import epoch
from deploy.cli import run
from deploy.lag import BrokerLags
from deploy.local.kafka import LocalKafka
from deploy.sections import ClickHouseSettings, KafkaSettings
from deploy.settings import Settings
from deploy.setup import set_up
from deploy.stages import STAGE_NAMES, readers
from schemas.topics import PUBLIC
from tests.fixtures_clickhouse import LocalClickHouse


@pytest.mark.kafka
def test_setup_creates_everything_once(
    kafka_broker: LocalKafka, clickhouse: LocalClickHouse, namespace: str
):
    settings = Settings(
        kafka=KafkaSettings(bootstrap_servers=kafka_broker.bootstrap_servers, partitions=2),
        clickhouse=ClickHouseSettings(url=clickhouse.url),
        namespace=namespace,
    )
    planned = set_up(settings, dry_run=True)
    assert planned.epoch is None
    assert planned.migrations
    assert epoch.read(settings.kafka, namespace) is None

    done = set_up(settings)
    assert done.topics.created == planned.topics.created
    # The stages' rows, and what trails remembers of event ids.
    assert len(done.topics.created) == len(PUBLIC) + len(STAGE_NAMES) + 1
    assert all(name.startswith(f"{namespace}.") for name in done.topics.created)
    assert done.migrations == planned.migrations
    assert done.epoch is not None
    assert _number(settings) == done.epoch.number == 1

    again = set_up(settings)
    assert not again.topics.created
    assert not again.topics.differing
    assert not again.migrations
    assert again.epoch == done.epoch

    everybody = readers(settings, namespace)
    lags = BrokerLags(settings.kafka, everybody)
    assert {lag.reader.topic for lag in lags.read()} == {reader.topic for reader in everybody}
    assert not any(lag.records for lag in lags.read())
    lags.close()

    begun = set_up(settings, new_epoch=True).epoch
    assert begun is not None
    assert (begun.number, begun.active) == (2, False)
    assert _number(settings) == 2


def _number(settings: Settings) -> int:
    return epoch.present(settings).epoch


@pytest.mark.kafka
def test_another_number_of_partitions_is_a_failure_of_setup_and_check(
    kafka_broker: LocalKafka,
    clickhouse: LocalClickHouse,
    namespace: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.setenv("TOUCHLINE_KAFKA__BOOTSTRAP_SERVERS", kafka_broker.bootstrap_servers)
    monkeypatch.setenv("TOUCHLINE_CLICKHOUSE__URL", clickhouse.url)
    monkeypatch.setenv("TOUCHLINE_NAMESPACE", namespace)
    monkeypatch.setenv("TOUCHLINE_KAFKA__PARTITIONS", "2")
    assert run(["setup", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["epoch"]["number"] == 1
    monkeypatch.setenv("TOUCHLINE_KAFKA__PARTITIONS", "3")
    difference = f"topic {namespace}.touchpoints has 2 partitions, but 3 are configured"
    assert run(["check"]) == 1
    assert difference in capsys.readouterr().err
    assert run(["setup"]) == 1
    assert difference in capsys.readouterr().err
