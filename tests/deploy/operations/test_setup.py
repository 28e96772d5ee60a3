"""`setup` on real servers: topics, tables, epoch; a second run changes nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from kafka import KafkaProducer

from deploy.cli.main import run
from deploy.config.identity_policy import parse_policy
from deploy.config.sections import ClickHouseSettings, KafkaSettings
from deploy.config.settings import Settings
from deploy.kafka import control
from deploy.kafka.lag import BrokerLags
from deploy.kafka.topology import STAGE_NAMES, readers
from deploy.local.kafka import LocalKafka
from deploy.operations.setup import set_up
from deploy.runtime.factories.clickhouse import clickhouse_client
from schemas.identifiers import IdentityPolicy
from schemas.topics import GLOBAL, PUBLIC
from sinks.clickhouse.epochs import Epochs
from tests.support.clickhouse import LocalClickHouse


def two_partitions(broker: LocalKafka, clickhouse: LocalClickHouse, namespace: str) -> Settings:
    return Settings(
        kafka=KafkaSettings(bootstrap_servers=broker.bootstrap_servers, partitions=2),
        clickhouse=ClickHouseSettings(url=clickhouse.url),
        namespace=namespace,
    )


@pytest.mark.kafka
def test_setup_creates_everything_once(
    kafka_broker: LocalKafka, clickhouse: LocalClickHouse, namespace: str
):
    settings = two_partitions(kafka_broker, clickhouse, namespace)
    planned = set_up(settings, dry_run=True)
    assert planned.epoch is None
    assert planned.migrations
    assert control.read_generation(settings.kafka, namespace) is None

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

    everybody = readers(namespace)
    lags = BrokerLags(settings.kafka, everybody)
    assert {lag.reader.topic for lag in lags.read()} == {reader.topic for reader in everybody}
    assert not any(lag.records for lag in lags.read())
    lags.close()

    begun = set_up(settings, new_epoch=True).epoch
    assert begun is not None
    assert (begun.number, begun.active) == (2, False)
    assert _number(settings) == 2


def _number(settings: Settings) -> int:
    return control.present_generation(settings).epoch


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


@pytest.mark.kafka
def test_setup_leaves_the_present_epoch_alone_while_another_one_is_built(
    kafka_broker: LocalKafka, clickhouse: LocalClickHouse, namespace: str
):
    settings = two_partitions(kafka_broker, clickhouse, namespace)
    set_up(settings)
    present = control.present_generation(settings)
    assert (present.namespace, present.partitions) == (namespace, 2)
    assert parse_policy(present.policy, IdentityPolicy()) == settings.identity.policy()
    store = clickhouse_client(settings)
    begun = Epochs(store, namespace).begin(present.cluster_id, datetime.now(UTC))
    again = set_up(settings).epoch
    assert again is not None
    assert again.number == 1
    assert control.present_generation(settings) == present

    # Once it is present, its topics are those of the deployment.
    own = replace(
        present, epoch=begun.number, namespace=f"{namespace}.g2", partitions=3, before=namespace
    )
    control.announce(settings.kafka, namespace, own)
    outcome = set_up(settings).topics
    assert all(name.startswith(f"{namespace}.g2.") for name in outcome.created)
    assert len(outcome.created) == len(PUBLIC) - len(GLOBAL) + len(STAGE_NAMES) + 1
    [difference] = outcome.differing
    assert f"topic {namespace}.g2.touchpoints has 3 partitions, but 2 are" in difference
    assert control.present_generation(settings) == own
    store.close()


@pytest.mark.kafka
def test_an_epoch_that_an_older_version_announced_is_completed(
    kafka_broker: LocalKafka, clickhouse: LocalClickHouse, namespace: str
):
    settings = two_partitions(kafka_broker, clickhouse, namespace)
    set_up(settings)
    whole = control.present_generation(settings)
    producer = KafkaProducer(bootstrap_servers=kafka_broker.bootstrap_servers)
    value = json.dumps({"epoch": 1, "cluster_id": whole.cluster_id}).encode()
    producer.send(f"{namespace}.control", value, b"epoch", partition=0).get(20)
    producer.close()
    assert control.present_generation(settings) == control.Generation(
        1, whole.cluster_id, namespace
    )
    set_up(settings)
    assert control.present_generation(settings) == whole


@pytest.mark.kafka
def test_whoever_follows_control_hears_of_each_change(
    kafka_broker: LocalKafka, clickhouse: LocalClickHouse, namespace: str
):
    settings = Settings(
        kafka=KafkaSettings(bootstrap_servers=kafka_broker.bootstrap_servers),
        clickhouse=ClickHouseSettings(url=clickhouse.url),
        namespace=namespace,
    )
    set_up(settings)
    first = control.present_generation(settings)
    heard = control.follow(settings.kafka, namespace)
    assert next(heard) == control.Control(first)
    second = replace(first, epoch=2, namespace=f"{namespace}.g2")
    control.announce(settings.kafka, namespace, second, control.NEXT)
    assert next(heard) == control.Control(first, second)
    assert control.read_generation(settings.kafka, namespace, control.NEXT) == second
    control.announce(settings.kafka, namespace, second)
    assert next(heard) == control.Control(second, second)
    assert not control.Control(second, None).names(1)
    control.announce(settings.kafka, namespace, None, control.NEXT)
    assert next(heard) == control.Control(second)
    assert control.read_generation(settings.kafka, namespace, control.NEXT) == second
    heard.close()
