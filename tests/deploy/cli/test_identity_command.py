"""`touchline identity`: usage, exit status, and what reaches Kafka."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pytest
from kafka import KafkaConsumer, TopicPartition

from deploy.cli.main import run
from deploy.config.sections import KafkaSettings
from deploy.config.settings import load
from deploy.kafka.clients import blocking
from deploy.kafka.control import Generation, announce
from deploy.local.broker import EmbeddedBroker
from deploy.operations.identity.graph_commands import KafkaCommands
from schemas import messages
from schemas.identifiers import identifier_id
from schemas.messages import SplitCommand
from schemas.topics import LINK_REQUESTS, full_name
from tests.support.deployment import World

Capture = pytest.CaptureFixture[str]
CUSTOMER, EMAIL = ("customer_id", "1815"), ("email", "ada@example.com")


@pytest.fixture(autouse=True)
def _deployment(
    world: World, embedded_broker: EmbeddedBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command line is configured for the world's ClickHouse and a broker without stages."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TOUCHLINE_CONFIG", raising=False)
    monkeypatch.setenv("TOUCHLINE_NAMESPACE", world.store.namespace)
    monkeypatch.setenv("TOUCHLINE_CLICKHOUSE__URL", world.store.server.url)
    monkeypatch.setenv("TOUCHLINE_KAFKA__BOOTSTRAP_SERVERS", embedded_broker.bootstrap_servers)
    monkeypatch.setenv("TOUCHLINE_KAFKA__EMBEDDED", "true")
    monkeypatch.setenv("TOUCHLINE_IDENTITY__DEFAULT_REGION", "JP")
    work_on(world.store.namespace, 1)


def work_on(namespace: str, number: int) -> None:
    """An epoch is present, with topics under the plain names."""
    announce(load().settings.kafka, namespace, Generation(number, "cluster", namespace))


def test_explain_reads_the_identifier_as_touches_are_read(world: World, capsys: Capture):
    world.touch("m-1", CUSTOMER, ("phone", "03-1234-5678"))
    assert run(["identity", "explain", "phone:0312345678"]) == 0
    assert f"profile {identifier_id(*CUSTOMER)}" in capsys.readouterr().out
    assert run(["identity", "explain", "customer_id:1815", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["profile_id"] == identifier_id(*CUSTOMER)


def test_an_id_that_a_profile_had_before_it_became_part_of_another_finds_its_person(
    world: World, capsys: Capture
):
    world.touch("m-1", EMAIL)
    world.touch("m-2", CUSTOMER, EMAIL)
    former, now = identifier_id(*EMAIL), identifier_id(*CUSTOMER)
    for command in (["identity", "explain"], ["profile", "show"]):
        assert run([*command, former, "--json"]) == 0
        assert now in capsys.readouterr().out
        assert run([*command, str(uuid.UUID(int=0))]) == 1
        assert capsys.readouterr().err == "touchline: nobody is known by this id\n"


@pytest.mark.parametrize("command", ["explain", "split"])
def test_who_was_never_seen_is_status_1_and_one_line_without_the_value(
    command: str, capsys: Capture
):
    assert run(["identity", command, "email:nobody@example.com"]) == 1
    said = capsys.readouterr()
    assert said.err.splitlines() == ["touchline: nobody is known by this email"]
    assert said.out == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no-colon"], "expected KIND:VALUE"),
        (["email:no-address"], "this is no value that"),
        ([], "give KIND:VALUE, or links by"),
        (["email:a@example.com", "--source", "web"], "give KIND:VALUE, or links by"),
        (["email:a@example.com", "--apply"], "--apply is for links by"),
        (["--source", "web", "--apply", "--dry-run"], "--apply is for links by"),
        (["--split-id", "s1"], "--split-id is for --lift"),
        (["--since", "yesterday"], "expected a time like 2026-11-20"),
    ],
)
def test_wrong_usage_is_status_2(arguments: list[str], message: str, capsys: Capture):
    assert run(["identity", "split", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_dry_run_sends_nothing(world: World, embedded_broker: EmbeddedBroker, capsys: Capture):
    world.touch("m-1", CUSTOMER, EMAIL)
    assert run(["identity", "split", "email:ada@example.com", "--dry-run", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["applied"], len(document["links"])) == (False, 1)
    assert run(["identity", "split", "--since", "2026-05-01", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["applied"], document["links"]) == (False, 1)
    assert sent(embedded_broker, world.store.namespace) == []


def test_a_split_that_nobody_takes_is_status_1_but_was_sent(
    world: World, embedded_broker: EmbeddedBroker, capsys: Capture
):
    world.touch("m-1", CUSTOMER, EMAIL)
    arguments = ["email:ada@example.com", "--note", "sisters", "--wait", "2"]
    assert run(["identity", "split", *arguments]) == 1
    (command,) = sent(embedded_broker, world.store.namespace)
    assert (command.kind, command.value, command.note, command.lift) == (*EMAIL, "sisters", False)
    line = capsys.readouterr().err.splitlines()[-1]
    assert f"sent under the id {command.split_id}" in line
    assert "ada@example.com" not in line


def test_links_by_source_are_sent_with_apply(
    world: World, embedded_broker: EmbeddedBroker, capsys: Capture
):
    world.touch("m-1", CUSTOMER, EMAIL, source="kiosk")
    world.touch("m-2", CUSTOMER, ("line", "ada"), source="shop")
    arguments = ["--source", "kiosk", "--apply", "--wait", "2"]
    assert run(["identity", "split", *arguments]) == 1
    assert "sent under the id" in capsys.readouterr().err
    (command,) = sent(embedded_broker, world.store.namespace)
    assert (command.lead_kind, command.kind, command.source) == ("customer_id", "email", "kiosk")


def test_nothing_is_split_while_the_present_epoch_is_not_shown_yet(
    world: World, embedded_broker: EmbeddedBroker, capsys: Capture
):
    world.touch("m-1", CUSTOMER, EMAIL)
    work_on(world.store.namespace, 2)
    for arguments in (["email:ada@example.com"], ["--source", "test", "--apply"]):
        assert run(["identity", "split", *arguments]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert line == "touchline: a rebuild is about to be shown; split after it is"
    assert sent(embedded_broker, world.store.namespace) == []


def test_commands_go_where_the_graph_reads_in_their_order(embedded_broker: EmbeddedBroker):
    settings = load().settings.model_copy(update={"namespace": f"c{uuid.uuid4().hex[:8]}"})
    work_on(settings.namespace, 1)
    many = [SplitCommand("s1", False, 1, "email", f"{n}@example.com") for n in range(50)]
    many.append(SplitCommand("s1", False, 1, *EMAIL, *CUSTOMER, source="kiosk"))
    with KafkaCommands(settings, 10) as commands:
        commands.send(many)
    assert sent(embedded_broker, settings.namespace) == many


def sent(broker: EmbeddedBroker, namespace: str) -> list[SplitCommand]:
    """The commands in the log of links."""
    kafka = KafkaSettings(bootstrap_servers=broker.bootstrap_servers, embedded=True)
    consumer = KafkaConsumer(**blocking(kafka), auto_offset_reset="earliest")
    partition = TopicPartition(full_name(namespace, LINK_REQUESTS.name), 0)
    consumer.partitions_for_topic(partition.topic)
    consumer.assign([partition])
    found: list[SplitCommand] = []
    while consumer.position(partition) < consumer.end_offsets([partition])[partition]:
        for record in consumer.poll(1_000).get(partition, ()):
            message = messages.decode_link(record.value)
            assert isinstance(message, SplitCommand)
            found.append(message)
    consumer.close()
    return found
