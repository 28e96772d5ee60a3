"""The two brokers that run without an installation."""

import signal
import subprocess
import sys
import textwrap

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition

from deploy.config import embedded
from deploy.local.broker import EmbeddedBroker
from deploy.local.kafka import LocalKafka
from deploy.local.readiness import wait_until

pytestmark = pytest.mark.integration

API_VERSION = tuple(int(part) for part in embedded.API_VERSION.split("."))


@pytest.mark.kafka
def test_a_real_kafka_runs(kafka_broker: LocalKafka):
    admin = KafkaAdminClient(bootstrap_servers=kafka_broker.bootstrap_servers)
    assert admin.describe_cluster()["cluster_id"]
    admin.close()


def test_kafka_python_talks_to_the_embedded_broker(embedded_broker: EmbeddedBroker):
    address = {"bootstrap_servers": embedded_broker.bootstrap_servers, "api_version": API_VERSION}
    producer = KafkaProducer(**address, compression_type="lz4", acks="all")
    sent = producer.send("brokers.test", b"value", partition=3, timestamp_ms=1_000).get(10)
    consumer = KafkaConsumer(**address, enable_auto_commit=False, auto_offset_reset="earliest")
    partition = TopicPartition("brokers.test", 3)
    consumer.assign([partition])
    (record,) = consumer.poll(5_000)[partition]
    assert (record.offset, record.timestamp, record.value) == (sent.offset, 1_000, b"value")
    producer.close()
    consumer.close()


def test_every_topic_of_the_embedded_broker_has_four_partitions(embedded_broker: EmbeddedBroker):
    producer = KafkaProducer(
        bootstrap_servers=embedded_broker.bootstrap_servers, api_version=API_VERSION
    )
    assert producer.partitions_for("brokers.new") == set(range(embedded.PARTITIONS))
    producer.close()


@pytest.mark.skipif(sys.platform != "linux", reason="parent-death signals are Linux's")
def test_no_broker_outlives_a_parent_that_is_killed():
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            textwrap.dedent("""
                import time
                from deploy.local.broker import EmbeddedBroker
                broker = EmbeddedBroker().start()
                print(broker._process.pid, flush=True)
                time.sleep(60)
            """),
        ],
        stdout=subprocess.PIPE,
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    assert wait_until(lambda: _gone(child), timeout=10)


def _gone(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True
