"""`touchline connectors try`: what a payload gives, without Kafka."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from deploy.cli.main import run
from ingest import connectors
from ingest.connectors.line.connector import LineOptions
from ingest.testing.preview import option_values

CONNECTORS = Path(connectors.__file__).parent
Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TOUCHLINE_CONFIG", raising=False)


def write(tmp_path: Path, *events: object) -> str:
    file = tmp_path / "payload.json"
    file.write_text(json.dumps(events))
    return str(file)


CALL = {
    "event_id": "1",
    "channel": "phone",
    "type": "call_completed",
    "occurred_at": "2026-05-01T00:00:00Z",
    "identifiers": [{"kind": "phone", "value": "090-1234-5678"}, {"kind": "x", "value": "@Ada"}],
    "value": {"amount": "12.5"},
    "traits": {"name": "山田"},
    "properties": {"queue": ["a"]},
}


def test_touchpoints_and_refusals_are_shown_to_a_person(tmp_path: Path, capsys: Capture):
    config = tmp_path / "touchline.yaml"
    config.write_text(
        "sources: {crm: {connector: touchpoint, token: t, default_region: JP, currency: JPY}}\n"
    )
    file = write(tmp_path, CALL, {"event_id": "2"})
    told = ["--config", str(config), "connectors", "try", "touchpoint", "--source", "crm"]
    assert run([*told, "--payload", file]) == 1
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "1 touchpoint, 1 rejection"
    assert out[2] == "1. call_completed (phone, inbound) 2026-05-01T00:00:00.000Z"
    shown = [tuple(line.split(None, 1)) for line in out[3:9]]
    assert shown == [
        ("event_id", "1"),
        ("phone", "+819012345678  (leads)"),
        ("x", "ada"),
        ("traits.name", '"山田"'),
        ("value", "12.5 JPY"),
        ("properties.queue", '["a"]'),
    ]
    assert out[10].startswith("2. refused (invalid): ")


def test_a_program_gets_the_rows(tmp_path: Path, capsys: Capture):
    told = ["connectors", "try", "touchpoint", "--json", "--payload", write(tmp_path, CALL, {})]
    assert run(told) == 1
    touch, refusal = json.loads(capsys.readouterr().out)
    assert touch["touchpoint"]["identifiers"] == {"x": ["ada"]}
    assert refusal["rejection"]["reason"] == "invalid"


def test_secrets_are_made_up_and_other_options_asked_for(capsys: Capture):
    line = str(CONNECTORS / "line" / "payloads" / "events.json")
    assert run(["connectors", "try", "line", "--payload", line]) == 0
    mails = ["connectors", "try", "sendgrid", "--payload"]
    mails.append(str(CONNECTORS / "sendgrid" / "payloads" / "engagement.json"))
    assert run(mails) == 1
    (said,) = capsys.readouterr().err.splitlines()
    assert "public_key is missing" in said
    assert said.endswith("(options: --option NAME=VALUE, or --source NAME)")
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    assert run([*mails, "--option", f"public_key={pem}"]) == 0
    assert "6 touchpoints, 0 rejections" in capsys.readouterr().out


def test_wrong_use_is_said_in_one_line(tmp_path: Path, capsys: Capture):
    file = write(tmp_path, CALL)
    assert run(["connectors", "try", "nothing", "--payload", file]) == 1
    assert "there is no connector 'nothing'" in capsys.readouterr().err
    told = ["connectors", "try", "touchpoint", "--payload", file]
    assert run([*told, "--source", "crm"]) == 2
    assert run([*told, "--header", "no colon"]) == 2
    assert "expected NAME:VALUE" in capsys.readouterr().err


@pytest.mark.parametrize("validate", ["warn", "reject"])
def test_what_violates_the_tracking_plan_of_the_source_is_said(
    tmp_path: Path, capsys: Capture, validate: str
):
    config = tmp_path / "touchline.yaml"
    crm = f"{{connector: touchpoint, token: t, validate: {validate}}}"
    config.write_text(f"tracking_plan: plan\nsources: {{crm: {crm}}}\n")
    (tmp_path / "plan").mkdir()
    (tmp_path / "plan" / "call_completed.yaml").write_text("required: [duration_s]")
    told = ["--config", str(config), "connectors", "try", "touchpoint", "--source", "crm"]
    told += ["--payload", write(tmp_path, CALL)]
    difference = "duration_s: expected a value, came nothing"
    assert run(told) == (validate == "reject")
    assert difference in capsys.readouterr().out
    run([*told, "--json"])
    [found] = json.loads(capsys.readouterr().out)
    if validate == "warn":
        assert found["violations"] == [difference]
    else:
        assert found["rejection"]["reason"] == "violates_plan"


def tried(capsys: Capture, name: str, file: Path, *told: str) -> list[dict[str, Any]]:
    """Return what is shown to a program for a file."""
    run(["connectors", "try", name, "--json", "--payload", str(file), *told])
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


ZONE = "Asia/Tokyo"
MAPPING = {
    "type": "order_completed",
    "channel": "store",
    "occurred_at": {"column": "sold at", "format": "%Y/%m/%d %H:%M", "zone": ZONE},
    "identifiers": {"email": "mail"},
}


@pytest.mark.parametrize(
    ("name", "file", "told"),
    [
        ("cdr", "calls.csv", ["--option", f"zone={ZONE}", "--region", "JP"]),
        ("csv", "purchases.csv", ["--option", f"map={json.dumps(MAPPING)}"]),
        ("jsonl", "touchpoints.jsonl", []),
    ],
)
def test_rows_of_a_file_are_shown_with_their_places(
    name: str, file: str, told: list[str], capsys: Capture
):
    found = tried(capsys, name, CONNECTORS / name / "payloads" / file, *told)
    assert len(found) > 1
    assert all(one["place"].startswith(f"{file}:") for one in found)
    assert "touchpoint" in found[0]


def test_rows_are_bounded_and_each_has_a_block(capsys: Capture):
    file = CONNECTORS / "jsonl" / "payloads" / "touchpoints.jsonl"
    assert run(["connectors", "try", "jsonl", "--payload", str(file), "--rows", "1"]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[:2] == ["touchpoints.jsonl:1:", "1 touchpoint, 0 rejections"]
    assert "touchpoints.jsonl:2" not in said.out
    assert "--rows shows more" in said.err


MAIL = """From: Info <info@exämple.de>
To: support@brand.com
Subject: Hi
Date: Sun, 30 Nov 2025 20:00:00 +0900
Message-ID: <t-1@acme.org>

body
"""


def test_one_mail_of_a_mailbox_is_shown(tmp_path: Path, capsys: Capture):
    file = tmp_path / "mail.eml"
    file.write_text(MAIL)
    (found,) = tried(capsys, "mailbox", file, "--option", "own_domains=brand.com")
    assert found["place"] == "INBOX, message 1"
    assert found["touchpoint"]["identifiers"] == {"email": ["info@xn--exmple-cua.de"]}
    assert found["touchpoint"]["type"] == "email_received"


@pytest.mark.parametrize(
    "told",
    [
        ["own_domains=brand.com,xn--exmple-cua.de"],
        ["own_domains=brand.com", "own_domains=xn--exmple-cua.de"],
        ['own_domains=["brand.com", "xn--exmple-cua.de"]'],
    ],
)
def test_a_list_is_given_with_commas_item_by_item_or_as_json(
    told: list[str], tmp_path: Path, capsys: Capture
):
    file = tmp_path / "mail.eml"
    file.write_text(MAIL)
    options = [part for text in told for part in ("--option", text)]
    (found,) = tried(capsys, "mailbox", file, *options)
    assert "rejection" in found


def test_a_secret_with_a_comma_stays_as_it_is():
    options = option_values(LineOptions, [("channel_secret", "a,b")])
    assert options == {"channel_secret": "a,b"}


def test_a_delivery_and_a_record_are_shown_alike(tmp_path: Path, capsys: Capture):
    record = CONNECTORS / "amazon_connect" / "payloads" / "chat.json"
    data = base64.b64encode(record.read_bytes()).decode()
    delivery = tmp_path / "delivery.json"
    delivery.write_text(
        json.dumps({"requestId": "r", "timestamp": 1_795_158_600_000, "records": [{"data": data}]})
    )
    (alone,), (delivered,) = (tried(capsys, "amazon_connect", file) for file in (record, delivery))
    for one in (alone, delivered):
        del one["touchpoint"]["received_at"]
    assert alone == delivered


@pytest.mark.parametrize("name", ["cdr", "mailbox"])
def test_a_wrong_option_of_what_is_read_is_said(name: str, tmp_path: Path, capsys: Capture):
    file = tmp_path / "file"
    file.write_text("x")
    told = ["connectors", "try", name, "--payload", str(file), "--option", "nothing=1"]
    assert run(told) == 1
    assert "nothing is no option of this connector" in capsys.readouterr().err
