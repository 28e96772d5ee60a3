"""Names, folders and leftovers of generations."""

from __future__ import annotations

from pathlib import Path

from deploy.config.settings import Settings
from deploy.kafka.control import Control, Generation, generation_namespace
from deploy.kafka.topics import ensure
from deploy.kafka.topology import generation_topics, lasting_topics, partitions_of, readers
from deploy.operations.rebuild.leftovers import obsolete
from deploy.runtime.membership import state_folder
from schemas.topics import LINK_REQUESTS, full_name
from tests.support.memory_cluster import MemoryCluster


def names(settings: Settings, namespace: str) -> set[str]:
    return {topic.name for topic in generation_topics(settings, namespace)}


def test_a_generation_has_its_number_behind_the_deployments_namespace():
    assert generation_namespace("shop", 7) == "shop.g7"
    assert generation_namespace("", 7) == "g7"


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


def test_each_generation_has_a_folder_and_those_of_others_go(tmp_path: Path):
    first = state_folder(tmp_path, "shop", "shop", "trails")
    assert first == tmp_path
    for folder in (tmp_path, tmp_path / "g3"):
        for stage in ("trails", "graph"):
            (folder / f"{stage}-cluster").mkdir(parents=True)
    (tmp_path / "instance").touch()
    own = state_folder(tmp_path, "shop", "shop.g7", "trails")
    (own / "trails-cluster").mkdir(parents=True)
    assert own == tmp_path / "g7"
    state_folder(tmp_path, "shop", "shop.g7", "trails")
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*-cluster")}
    # Another stage's process may not have ended yet.
    assert left == {"graph-cluster", "g3/graph-cluster", "g7/trails-cluster"}


def test_only_topics_of_generations_that_are_over_are_obsolete():
    settings = Settings(namespace="shop")
    cluster = MemoryCluster()
    for namespace in ("shop", "shop.g2", "shop.g3", "shop.g4"):
        ensure(cluster, generation_topics(settings, namespace))
    ensure(cluster, lasting_topics(settings))
    ensure(cluster, generation_topics(Settings(namespace="other"), "other.g1"))
    cluster.topics["shop.g2.somebody-elses"] = 1
    control = Control(Generation(3, "cluster", "shop.g3"), Generation(4, "cluster", "shop.g4"))
    assert set(obsolete(settings, cluster, control)) == (
        names(settings, "shop") | names(settings, "shop.g2")
    )
    assert not obsolete(settings, cluster, Control())
