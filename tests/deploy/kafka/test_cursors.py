"""Cursors are kept in the topic, and the folder where the broker forgets."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.config.sections import KafkaSettings
from deploy.config.settings import Settings
from deploy.kafka.cursors import Cursors, FolderCursors, TopicCursors, cursors
from deploy.kafka.topics import connect, ensure
from deploy.kafka.topology import lasting_topics
from deploy.local.broker import EmbeddedBroker
from deploy.local.ports import free_port
from ingest.publishing.port import NotAcknowledged

Open = Callable[[], Cursors]


@pytest.fixture(params=["topic", "folder"])
def opened(
    request: pytest.FixtureRequest, tmp_path: Path, embedded_broker: EmbeddedBroker, namespace: str
) -> Iterator[Open]:
    kafka = KafkaSettings(bootstrap_servers=embedded_broker.bootstrap_servers, embedded=True)
    with contextlib.closing(connect(kafka)) as cluster:
        ensure(cluster, lasting_topics(Settings(kafka=kafka, namespace=namespace)))
    made: list[Cursors] = []

    def make() -> Cursors:
        settings = Settings(kafka=kafka, namespace=namespace)
        topic = request.param == "topic"
        made.append(TopicCursors(settings) if topic else cursors(settings, tmp_path / "data"))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_the_last_value_of_each_key_is_there_for_the_next_process(opened: Open):
    first = opened()
    assert first.of("") == {}
    first.move("file/a/1", b"one")
    first.move("file/b/1", b"two")
    first.move("file/a/1", "三".encode())
    for one in (first, opened()):
        assert one.of("file/a/") == {"file/a/1": "三".encode()}
        assert set(one.of("")) == {"file/a/1", "file/b/1"}


def test_the_embedded_broker_has_the_folder(tmp_path: Path):
    embedded = Settings(kafka=KafkaSettings(embedded=True), namespace="shop")
    assert isinstance(cursors(embedded, tmp_path), FolderCursors)
    assert isinstance(cursors(Settings(), tmp_path), TopicCursors)


@pytest.mark.integration
def test_a_kafka_that_is_away_is_said_in_one_line():
    kafka = KafkaSettings(bootstrap_servers=f"127.0.0.1:{free_port()}")
    with pytest.raises(NotAcknowledged, match="does not answer for the topic cursors"):
        TopicCursors(Settings(kafka=kafka)).of("")
