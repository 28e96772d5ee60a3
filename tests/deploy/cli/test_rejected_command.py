"""`touchline rejected`: usage, exit status, what is printed and what is not."""

from __future__ import annotations

import base64
import json
import uuid
from pathlib import Path

import msgspec
import pytest
import yaml
from kafka import KafkaConsumer, TopicPartition

from deploy.cli.main import run
from deploy.config.identity_policy import serialize_policy
from deploy.config.sections import KafkaSettings
from deploy.config.settings import load
from deploy.kafka.clients import blocking
from deploy.kafka.control import NEXT, Generation, announce
from deploy.local.broker import EmbeddedBroker
from deploy.local.stack_file import DEVELOPMENT_SOURCES, at_running_stack
from deploy.operations.rejected.log import Mark, RejectedLog
from ingest.intake.replay_context import ReplayContext
from schemas.identifiers import IdentityPolicy
from schemas.topics import TOUCHPOINTS, full_name
from tests.support import rows
from tests.support.gateway_requests import store_visit
from tests.support.sinking import Store

Capture = pytest.CaptureFixture[str]
GOOD, BAD, BINARY = (str(uuid.UUID(int=number)) for number in (11, 12, 13))
SECRET_OF_A_CUSTOMER = "zq-very-private"
SOURCES = {"crm": {"connector": "touchpoint", "token": "t1"}}


@pytest.fixture(autouse=True)
def _deployment(
    store: Store, embedded_broker: EmbeddedBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command line is configured for a ClickHouse and a broker without stages."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TOUCHLINE_CONFIG", raising=False)
    monkeypatch.setenv("TOUCHLINE_NAMESPACE", store.namespace)
    monkeypatch.setenv("TOUCHLINE_CLICKHOUSE__URL", store.server.url)
    monkeypatch.setenv("TOUCHLINE_KAFKA__BOOTSTRAP_SERVERS", embedded_broker.bootstrap_servers)
    monkeypatch.setenv("TOUCHLINE_KAFKA__EMBEDDED", "true")
    (tmp_path / "touchline.yaml").write_text(yaml.safe_dump({"sources": SOURCES}))
    announce(load().settings.kafka, store.namespace, Generation(1, "cluster", store.namespace))


@pytest.fixture
def refused(store: Store) -> None:
    """One that is fine now, one that is not, one that is no text."""
    good = msgspec.json.encode(store_visit("e1", traits={"note": SECRET_OF_A_CUSTOMER}))
    bad = msgspec.json.encode({"event_id": "e2", "note": SECRET_OF_A_CUSTOMER})
    for rejected_id, payload, detail in (
        (GOOD, good, "type: unknown"),
        (BAD, bad, "channel: Field required"),
        (BINARY, b"\x00\xff\x1b[2J" + b"x" * 30, "the body: \x1b[2J is not JSON"),
    ):
        store.insert(
            "rejected_touchpoints",
            rows.rejected(
                rejected_id=rejected_id,
                source="crm",
                connector="touchpoint",
                reason="invalid",
                detail=detail,
                payload_base64=base64.b64encode(payload).decode(),
                request=ReplayContext("/v1/events", {"content-type": "application/json"}).text(),
            ),
        )


def test_nothing_is_refused_yet(capsys: Capture):
    assert run(["rejected", "list"]) == 0
    assert capsys.readouterr().out == "nothing was refused\n"
    assert run(["rejected", "replay"]) == 0
    assert capsys.readouterr().out.startswith("nothing to replay")


@pytest.mark.usefixtures("refused")
def test_a_list_counts_and_names_and_shows_no_payload(capsys: Capture):
    assert run(["rejected", "list", "--limit", "2"]) == 0
    said = capsys.readouterr().out
    lines = said.splitlines()
    assert lines[0].split() == ["refused", "replayed", "source", "connector", "reason"]
    assert lines[1].split() == ["3", "0", "crm", "touchpoint", "invalid"]
    assert "the newest 2 of 3" in lines
    assert GOOD in said
    assert SECRET_OF_A_CUSTOMER not in said
    assert run(["rejected", "list", "--json"]) == 0
    said = capsys.readouterr().out
    found = json.loads(said)
    assert found["counts"][0]["n"] == len(found["rejected"]) == 3
    assert found["rejected"][0]["received_at"] == "2026-11-20T00:00:00.000Z"
    assert SECRET_OF_A_CUSTOMER not in said


@pytest.mark.usefixtures("refused")
def test_lists_are_chosen_by_source_reason_and_time(capsys: Capture):
    for arguments, lines in (
        (["--source", "web"], 1),
        (["--reason", "too_large"], 1),
        (["--since", "2026-11-20T00:00:00.001Z"], 1),
        (["--until", "2026-11-20"], 1),
        (["--source", "crm", "--reason", "invalid", "--since", "2026-11-20"], 7),
    ):
        assert run(["rejected", "list", *arguments]) == 0
        assert len(capsys.readouterr().out.splitlines()) == lines, arguments


@pytest.mark.usefixtures("refused")
def test_one_is_shown_with_its_payload_and_what_would_become_of_it(capsys: Capture):
    assert run(["rejected", "show", GOOD]) == 0
    said = capsys.readouterr()
    assert "request   /v1/events, content-type: application/json" in said.out
    assert "today     would be accepted: 1 touch" in said.out
    assert SECRET_OF_A_CUSTOMER in said.out.splitlines()[-1]
    assert SECRET_OF_A_CUSTOMER not in said.err
    assert run(["rejected", "show", BAD]) == 0
    assert "would still be refused: invalid: " in capsys.readouterr().out
    assert run(["rejected", "show", BINARY]) == 0
    said = capsys.readouterr()
    assert "00000000  00 ff 1b 5b 32 4a 78" in said.out
    assert "\x1b" not in said.out
    assert run(["rejected", "show", BINARY, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["payload"] is None
    assert base64.b64decode(found["payload_base64"])[:2] == b"\x00\xff"


@pytest.mark.usefixtures("refused")
def test_what_was_replayed_says_when_and_what_came_of_it(store: Store, capsys: Capture):
    mark = Mark(
        rejected_id=GOOD,
        received_at="2026-11-20T00:00:00.000Z",
        replayed_at="2026-11-25T12:00:00.000Z",
        outcome="accepted",
        accepted=1,
        topic="touchpoints",
        event_ids=("e1",),
    )
    RejectedLog(store.clickhouse, store.namespace).mark([mark])
    assert run(["rejected", "show", GOOD]) == 0
    line = "2026-11-25T12:00:00.000Z: accepted, topic touchpoints; 1 touch: e1 (not in touchpoints)"
    assert line in capsys.readouterr().out
    store.insert("touchpoints", rows.touchpoint(event_id="e1", source="crm"))
    assert run(["rejected", "show", GOOD]) == 0
    assert "e1 (in touchpoints)" in capsys.readouterr().out
    assert run(["rejected", "show", GOOD, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["replay"]["outcome"], found["replay"]["shown"]) == ("accepted", ["e1"])
    assert run(["rejected", "replay", GOOD]) == 0
    assert "replayed before" in capsys.readouterr().out


@pytest.mark.usefixtures("refused")
def test_a_dry_replay_counts_and_sends_nothing(
    store: Store, embedded_broker: EmbeddedBroker, capsys: Capture
):
    assert run(["rejected", "replay"]) == 0
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert lines[0] == "would replay 1 of 3 refusals; give --apply to do it"
    assert lines[1] == "crm, touchpoint: invalid (3)"
    assert "       1  would be accepted: 1 touch" in lines
    assert any(line.startswith("       1  stays: invalid: ") for line in lines)
    assert SECRET_OF_A_CUSTOMER not in said.out + said.err
    assert run(["rejected", "replay", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["applied"], found["replayable"], found["replayed"], found["stay"]) == (
        False, 1, 0, 2,
    )  # fmt: skip
    assert found["by"][0]["outcomes"] == {"accepted": 1}
    assert sent(embedded_broker, store.namespace) == []


@pytest.mark.usefixtures("refused")
def test_on_the_embedded_broker_only_what_has_gone_through_is_marked(
    store: Store, embedded_broker: EmbeddedBroker, capsys: Capture
):
    """It forgets what it holds, and here nobody reads it."""
    assert run(["rejected", "replay", "--apply", "--wait", "2"]) == 1
    said = capsys.readouterr()
    (line,) = said.err.splitlines()
    assert "is not in ClickHouse after 2 s: see that worker and sink run; 0 were replayed" in line
    (value,) = sent(embedded_broker, store.namespace)
    assert json.loads(value)["received_at"] == "2026-11-20T00:00:00.000Z"
    assert store.view("rejected_touchpoints", "count() AS n", "WHERE outcome != ''") == [{"n": 0}]
    assert SECRET_OF_A_CUSTOMER not in said.out + said.err


@pytest.mark.usefixtures("refused")
def test_nothing_is_replayed_while_a_rebuild_is_under_way(
    store: Store, embedded_broker: EmbeddedBroker, capsys: Capture
):
    kafka = load().settings.kafka
    for present, following in ((1, 2), (2, None)):
        announce(kafka, store.namespace, Generation(present, "cluster", store.namespace))
        after = following and Generation(following, "cluster", f"{store.namespace}.g2")
        announce(kafka, store.namespace, after or None, NEXT)
        assert run(["rejected", "replay", "--apply"]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert line == "touchline: a rebuild is under way, replay once its epoch is shown"
        assert run(["rejected", "replay"]) == 0
        capsys.readouterr()
    assert sent(embedded_broker, store.namespace) == []


@pytest.mark.usefixtures("refused")
def test_with_another_order_of_strength_nothing_is_replayed(
    store: Store, embedded_broker: EmbeddedBroker, capsys: Capture
):
    policy = IdentityPolicy().with_kinds({"email": {"strength": 1}})
    built = Generation(1, "cluster", store.namespace, policy=serialize_policy(policy))
    announce(load().settings.kafka, store.namespace, built)
    assert run(["rejected", "replay", "--apply"]) == 1
    assert "put the order of strength back" in capsys.readouterr().err
    assert sent(embedded_broker, store.namespace) == []


@pytest.mark.usefixtures("refused")
def test_an_id_that_is_none_or_of_nothing_is_said_in_one_line(capsys: Capture):
    unknown = str(uuid.UUID(int=99))
    for command in (["show", unknown], ["replay", GOOD, unknown]):
        assert run(["rejected", *command]) == 1
        assert capsys.readouterr().err == (
            f"touchline: nothing was refused under the id {unknown}\n"
        )
    for command in (["show", "x"], ["replay", "x"], ["list", "--reason", "x"], ["show"]):
        assert run(["rejected", *command]) == 2
        capsys.readouterr()


def test_at_a_running_stack_without_sources_there_are_those_of_development(tmp_path: Path):
    (tmp_path / "stack.json").write_text('{"clickhouse": "http://x:1", "kafka": "x:2"}')
    (tmp_path / "none.yaml").write_text("{}")
    settings = load(tmp_path / "none.yaml").settings
    assert set(at_running_stack(settings, tmp_path).sources) == set(DEVELOPMENT_SOURCES)
    assert set(at_running_stack(load().settings, tmp_path).sources) == {"crm"}
    assert at_running_stack(settings, tmp_path / "nowhere").sources == {}


def sent(broker: EmbeddedBroker, namespace: str) -> list[bytes]:
    """The touches on the topic."""
    kafka = KafkaSettings(bootstrap_servers=broker.bootstrap_servers, embedded=True)
    consumer = KafkaConsumer(**blocking(kafka), auto_offset_reset="earliest")
    name = full_name(namespace, TOUCHPOINTS.name)
    partitions = [TopicPartition(name, number) for number in consumer.partitions_for_topic(name)]
    consumer.assign(partitions)
    ends = consumer.end_offsets(partitions)
    found: list[bytes] = []
    while any(consumer.position(one) < ends[one] for one in partitions):
        for records in consumer.poll(1_000).values():
            found += [record.value for record in records]
    consumer.close()
    return found
