"""Readiness falls when what a process needs is away, and comes back with it."""

from __future__ import annotations

import threading

from prometheus_client import CollectorRegistry

from deploy.config.sections import KafkaSettings
from deploy.kafka.reachability import UNREACHABLE, BrokerCheck
from deploy.local.broker import EmbeddedBroker
from deploy.runtime.health import Dependency, DependencyWatch, Health
from deploy.runtime.metrics.catalogue import DEPENDENCY_UP
from deploy.runtime.metrics.exposition import text
from tests.support.waiting import wait_until


def test_a_process_is_ready_once_it_has_started_and_while_no_part_has_a_problem():
    health = Health()
    assert health.problem == "the process is starting"
    health.failed("kafka", "Kafka does not answer")
    health.started()
    assert health.problem == "Kafka does not answer"
    health.failed("clickhouse", "ClickHouse does not answer")
    assert health.problem == "Kafka does not answer; ClickHouse does not answer"
    health.well("kafka")
    health.well("clickhouse")
    assert health.problem is None


def test_a_dependency_is_down_until_its_first_answer_and_again_when_it_is_lost():
    up = threading.Event()

    def check() -> None:
        if not up.is_set():
            raise OSError("nobody there")

    registry, health = CollectorRegistry(), Health()
    health.started()
    gauge = DEPENDENCY_UP.make(registry)
    with DependencyWatch(health, Dependency("Kafka", check, (OSError,)), gauge, 0.01):
        assert health.problem == "Kafka does not answer"
        up.set()
        wait_until(lambda: health.problem is None, within=20)
        assert b'touchline_dependency_up{dependency="kafka"} 1.0' in text(registry)
        up.clear()
        wait_until(lambda: health.problem is not None, within=20)
        assert b'touchline_dependency_up{dependency="kafka"} 0.0' in text(registry)


def test_a_broker_that_ends_is_noticed():
    health = Health()
    health.started()
    with EmbeddedBroker() as broker:
        kafka = KafkaSettings(bootstrap_servers=broker.bootstrap_servers, embedded=True)
        needed = Dependency("Kafka", BrokerCheck(kafka), UNREACHABLE)
        with DependencyWatch(health, needed, DEPENDENCY_UP.make(CollectorRegistry()), 0.05):
            wait_until(lambda: health.problem is None, within=20)
            broker.stop()
            wait_until(lambda: health.problem == "Kafka does not answer", within=20)
