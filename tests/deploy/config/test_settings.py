"""Configuration: precedence, secrets, and errors that name file and line."""

from pathlib import Path

import pytest

from deploy.config.config_file import ConfigurationError
from deploy.config.sections import SourceSettings
from deploy.config.settings import SHIPPED_SEGMENTS, load
from deploy.operations.check import problems
from deploy.runtime.factories.clickhouse import clickhouse_config
from deploy.runtime.factories.stages import untrusted
from ingest.registry import Registry


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    for name in ("CONFIG", "KAFKA__PARTITIONS", "KAFKA__BOOTSTRAP_SERVERS", "SOURCES"):
        monkeypatch.delenv(f"TOUCHLINE_{name}", raising=False)


def write(text: str) -> Path:
    path = Path("touchline.yaml")
    path.write_text(text, encoding="utf-8")
    return path


def refused(text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load(write(text))
    return str(caught.value).splitlines()


def test_everything_has_a_default():
    settings = load().settings
    assert settings.kafka.bootstrap_servers == "localhost:9092"
    assert settings.gateway.limits.body_bytes == 5 * 1024 * 1024
    assert not settings.names_kafka
    assert not settings.names_clickhouse


def test_without_a_file_the_shipped_segments_are_used(tmp_path: Path):
    assert load().settings.segments == SHIPPED_SEGMENTS
    assert (SHIPPED_SEGMENTS / "big_spenders.yaml").is_file()
    assert load(write("namespace: here")).settings.segments is None


def test_the_environment_stands_over_the_file(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TOUCHLINE_KAFKA__PARTITIONS", "8")
    settings = load(write("kafka: {bootstrap_servers: kafka:9092, partitions: 2}")).settings
    assert settings.kafka.partitions == 8
    assert settings.kafka.bootstrap_servers == "kafka:9092"
    assert settings.names_kafka


def test_the_file_is_found_by_variable_and_in_the_working_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    write("namespace: here")
    assert load().settings.namespace == "here"
    other = tmp_path / "other.yaml"
    other.write_text("namespace: there")
    monkeypatch.setenv("TOUCHLINE_CONFIG", str(other))
    assert load().settings.namespace == "there"


def test_secrets_come_from_the_environment_and_are_not_shown(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SHOP_KEY", "s3cret")
    settings = load(
        write("sources:\n  shop: {connector: segment, write_key: ['${SHOP_KEY}', old-s3cret]}")
    ).settings
    assert settings.sources["shop"].options == {"write_key": ["s3cret", "old-s3cret"]}
    assert "s3cret" not in repr(settings)


def test_a_source_that_must_not_join_people_is_told_apart_from_its_connectors_options():
    settings = load(
        write(
            "sources:\n  kiosk: {connector: touchpoint, token: t, links: false}\n"
            "  shop: {connector: segment, write_key: k}\n"
        )
    ).settings
    assert settings.sources["kiosk"].options == {"token": "t"}
    assert untrusted(settings) == {"kiosk"}


def test_no_connector_has_an_option_that_every_source_has():
    registry = Registry()
    for name in registry:
        assert not set(registry.load(name).options.model_fields) & set(SourceSettings.model_fields)


def test_a_folder_is_relative_to_the_file(tmp_path: Path):
    folder = tmp_path / "conf"
    folder.mkdir()
    file = folder / "touchline.yaml"
    file.write_text("segments: segs/")
    assert load(file).settings.segments == folder / "segs"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("namespace: ok\nkafka:\n  partitions: four", "touchline.yaml:3: kafka.partitions: "),
        ("gateway:\n  port: 70000", "touchline.yaml:2: gateway.port: "),
        ("kafak: {}", "touchline.yaml:1: kafak: unknown setting, expected kafka?"),
        (
            "gateway:\n  trusted_proxies:\n    - 10.0.0.0/8\n    - 10.1.2.3/8",
            "touchline.yaml:4: gateway.trusted_proxies.1: expected an address, or a network",
        ),
        ("gateway:\n  prt: 1", "touchline.yaml:2: gateway.prt: unknown setting, expected port?"),
        ("sources:\n  web:\n    write_key: k", "touchline.yaml:2: sources.web.connector: is miss"),
        ("sources:\n  Web: {connector: segment}", "touchline.yaml:1: sources: expected names"),
        ("a: [1, 2", "touchline.yaml:1: not valid YAML: "),
        ("\n- 1", "touchline.yaml:1: expected settings by name"),
        ("namespace: a\nstate: a\x01b", "touchline.yaml:2: holds a control character"),
        ("\nstate: 2026-13-45", "touchline.yaml:2: the value does not fit its tag tag:yaml.org,"),
        ("state: !folder x", "touchline.yaml:1: not valid YAML: could not determine a construct"),
        ("\n<<: {state: x}", "touchline.yaml:2: not valid YAML: could not determine a construc"),
        ("[a]: x", "touchline.yaml:1: a list or mapping cannot be a key, expected a word"),
        ("namespace: a\nnamespace: b", "touchline.yaml:2: namespace: stands here a second time"),
        (
            "sources:\n  s: {connector: x,\n      key: '${NOT_SET_AT_ALL}'}",
            "touchline.yaml:3: expected the environment variable NOT_SET_AT_ALL to be set",
        ),
        (
            "identity:\n  kinds:\n    device_id: {strength: 1}",
            "touchline.yaml:2: identity.kinds: identity kind 'device_id' does not join",
        ),
        (
            "sources:\n  s: {connector: x,\n      links: maybe}",
            "touchline.yaml:3: sources.s.links: expected a valid boolean",
        ),
        (
            "sources:\n  s: {connector: segment,\n      origins: [https://shop.example.com/]}",
            "touchline.yaml:3: sources.s.origins.0: expected an origin as browsers send it",
        ),
        (
            "sources:\n  s: {connector: segment,\n      origins: [https://shop.example.com:443]}",
            "touchline.yaml:3: sources.s.origins.0: expected an origin as browsers send it",
        ),
        ("clickhouse:\n  url: tcp://x", "touchline.yaml:2: clickhouse.url: expected text like"),
    ],
)
def test_errors_name_file_line_and_what_was_expected(text: str, expected: str):
    (line,) = refused(text)
    assert line.startswith(expected)


def test_each_problem_is_a_line_of_its_own():
    assert len(refused("kafka:\n  partitions: 0\ngateway: {port: x}")) == 2


def test_a_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TOUCHLINE_KAFKA__PARTITIONS", "many")
    with pytest.raises(ConfigurationError, match=r"^TOUCHLINE_KAFKA__PARTITIONS: "):
        load()
    monkeypatch.delenv("TOUCHLINE_KAFKA__PARTITIONS")
    monkeypatch.setenv("TOUCHLINE_SOURCES", "{not json")
    with pytest.raises(ConfigurationError, match=r"^TOUCHLINE_SOURCES: expected JSON"):
        load()


def test_a_missing_file_is_said():
    with pytest.raises(ConfigurationError, match=r"nowhere\.yaml: cannot be read"):
        load(Path("nowhere.yaml"))


@pytest.mark.parametrize(
    ("text", "username", "password"),
    [
        ("url: https://ana:s%40crt@ch.example.com:8443", "ana", "s@crt"),
        ("url: https://ana@ch.example.com:8443", "ana", ""),
        ("url: https://ana:old@ch.example.com:8443\n  password: new", "ana", "new"),
        ("url: https://a:b:c@ch.example.com:8443\n  username: bob", "bob", "b:c"),
    ],
)
def test_a_password_in_the_url_of_clickhouse_is_taken_and_never_shown(
    text: str, username: str, password: str
):
    loaded = load(write(f"clickhouse:\n  {text}"))
    given = loaded.settings.clickhouse
    assert (given.url, given.username) == ("https://ch.example.com:8443", username)
    assert given.password.get_secret_value() == password
    shown = f"{loaded.settings!r} {clickhouse_config(loaded.settings)!r}"
    assert not password or password not in shown


@pytest.mark.parametrize("setting", ["kafka.ssl_cafile", "clickhouse.ssl_certfile"])
def test_check_names_a_file_that_is_not_there(setting: str):
    section, name = setting.split(".")
    configuration = load(write(f"{section}:\n  {name}: nowhere.pem"))
    assert problems(configuration) == [
        f"touchline.yaml:2: {setting}: the file nowhere.pem is not there or not readable"
    ]
