"""Names of the topics and groups of generations."""

from __future__ import annotations

from deploy.config.settings import Settings
from deploy.kafka.control import Generation
from deploy.kafka.topology import generation_topics, lasting_topics, partitions_of, readers
from schemas.topics import LINK_REQUESTS, full_name


def names(settings: Settings, namespace: str) -> set[str]:
    return {topic.name for topic in generation_topics(settings, namespace)}


def test_topics_groups_and_changelogs_of_a_generation_are_apart_and_control_is_shared():
    settings = Settings(namespace="shop")
    own, plain = names(settings, "shop.g7"), names(settings, "shop")
    assert not own & plain
    assert all(name.startswith("shop.g7.") for name in own)
    assert {name.replace("shop.g7.", "shop.") for name in own} == plain
    assert [topic.name for topic in lasting_topics(settings)] == ["shop.control", "shop.cursors"]
    assert not {"shop.control", "shop.cursors"} & plain
    for reader in readers("shop.g7"):
        assert reader.topic in own
        assert reader.group.startswith("shop.g7.touchline-")


def test_the_number_of_partitions_is_that_of_the_epoch():
    settings = Settings()
    present = Generation(3, "cluster", "g3", partitions=9)
    assert partitions_of(settings, present) == 9
    assert partitions_of(settings, Generation(3, "cluster", "")) == settings.topic_partitions
    by_name = {topic.name: topic.partitions for topic in generation_topics(settings, "g3", 9)}
    assert by_name["g3.touchpoints"] == 9
    assert by_name[full_name("g3", LINK_REQUESTS.name)] == 1
    assert by_name["g3.touchline-trails-rows-changelog"] in (-1, 9)
