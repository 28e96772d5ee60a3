"""Connectors are found by entry points and made from options."""

from __future__ import annotations

import sys
import types
from importlib.metadata import EntryPoint
from typing import ClassVar

import pytest
from pydantic import BaseModel, SecretStr, field_validator

from ingest.connector import INTERFACE_VERSION, KeyedConnector, WebhookConnector
from ingest.registry import GROUP, ConnectorError, Registry

BUILT_IN = {
    "segment", "sendgrid", "twilio", "line", "shopify", "stripe", "intercom", "zendesk",
    "meta", "x", "amazon_connect",
    "touchpoint",
    "snowplow", "ga4",
}  # fmt: skip


class ToyOptions(BaseModel):
    model_config: ClassVar = {"extra": "forbid"}  # type: ignore[assignment]
    secret: SecretStr
    size: int = 1

    @field_validator("secret")
    @classmethod
    def _long(cls, secret: SecretStr) -> SecretStr:
        if len(secret.get_secret_value()) < 8:
            raise ValueError("must have at least 8 characters")
        return secret


def connector_class(**attributes: object) -> type:
    def init(self: object, options: object) -> None:
        self.made_of = options  # type: ignore[attr-defined]

    body = {
        "name": "toy",
        "doc": "for tests",
        "options": ToyOptions,
        "verify": lambda *_: True,
        "parse": lambda *_: iter(()),
        "__init__": init,
    }
    return type("Toy", (WebhookConnector,), {**body, **attributes})


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    module = types.ModuleType("toys")
    vars(module).update(
        Toy=connector_class(),
        Old=connector_class(name="old", interface=INTERFACE_VERSION + 1),
        Renamed=connector_class(name="other"),
        NoConnector=dict,
        Picky=connector_class(name="picky", __init__=_picky),
    )
    monkeypatch.setitem(sys.modules, "toys", module)
    return Registry(
        EntryPoint(name, value, GROUP)
        for name, value in {
            "toy": "toys:Toy",
            "old": "toys:Old",
            "renamed": "toys:Renamed",
            "none": "toys:NoConnector",
            "picky": "toys:Picky",
            "missing": "no_such_module:Toy",
        }.items()
    )


def _picky(self: object, options: object) -> None:
    raise ValueError("secret: is no key in PEM")


def test_the_built_in_ones_come_through_the_same_door() -> None:
    registry = Registry()
    assert set(registry) >= BUILT_IN
    for name in BUILT_IN:
        cls = registry.load(name)
        assert cls.name == name
        assert cls.doc
        assert registry.package(name) == "touchline"


@pytest.mark.parametrize(
    ("name", "option"), [("segment", "write_key"), ("touchpoint", "token"), ("ga4", "api_secret")]
)
def test_those_that_share_an_address_are_keyed(name: str, option: str) -> None:
    made = Registry().create(name, {option: ["one", "two"]})
    assert isinstance(made, KeyedConnector)
    assert made.keys() == (b"one", b"two")


def test_a_connector_is_made_of_its_options(registry: Registry) -> None:
    made = registry.create("toy", {"secret": "long enough"})
    assert made.made_of.size == 1  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "nothing",
            "no connector 'nothing'; installed are: missing, none, old, picky, renamed, toy",
        ),
        ("missing", "cannot be imported: ModuleNotFoundError"),
        ("old", "written for version 2 of the connector interface; this is version 1"),
        ("none", "no subclass of WebhookConnector"),
        ("renamed", "calls itself 'other'"),
        ("picky", "connector 'picky': secret: is no key in PEM"),
    ],
)
def test_what_cannot_be_used_says_why(registry: Registry, name: str, message: str) -> None:
    with pytest.raises(ConnectorError) as error:
        registry.create(name, {"secret": "long enough"})
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "secret is missing"),
        ({"secret": "hush"}, "secret: must have at least 8 characters"),
        ({"sice": 1}, "sice is no option of this connector, which has: secret, size"),
        ({"secret": "long enough", "size": "hush-hush"}, "size: "),
        ({"secret": {"hush": 1}}, "secret: "),
    ],
)  # fmt: skip
def test_wrong_options_are_explained_without_their_values(
    registry: Registry, options: dict[str, object], message: str
) -> None:
    with pytest.raises(ConnectorError) as error:
        registry.create("toy", options)
    assert message in str(error.value)
    assert "hush" not in str(error.value)
    assert "long enough" not in str(error.value)
