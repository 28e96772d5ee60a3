"""compose.yaml, Prometheus and Grafana: valid, and about things that exist."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, Counter, Histogram
from pydantic import BaseModel, ConfigDict, Field

from deploy.cli.main import COMMANDS
from deploy.config.settings import load
from deploy.kafka.topology import STAGE_NAMES
from deploy.runtime.factories.gateway import gateway_sources
from deploy.runtime.metrics.catalogue import CATALOGUE, PREFIX, Metric

DEPLOY = Path(__file__).parents[2] / "deploy"
DOCKERFILE = DEPLOY / "docker" / "Dockerfile"
DASHBOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
_SELECTOR = re.compile(r"(touchline_\w+)(\{[^}]*\})?")


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Healthcheck(Strict):
    test: list[str]
    interval: str
    timeout: str
    retries: int


class Service(Strict):
    """A service, in the part of the Compose specification that ours use."""

    image: str
    build: dict[str, str] | None = None
    command: list[str] = []
    restart: str
    environment: dict[str, str] = {}
    ports: list[str] = []
    volumes: list[str] = []
    depends_on: dict[str, dict[str, str]] = {}
    healthcheck: Healthcheck | None = None
    stop_grace_period: str | None = None
    profiles: list[str] = []
    ulimits: dict[str, Any] = {}


class Compose(Strict):
    name: str
    shared: Any = Field(alias="x-touchline")
    services: dict[str, Service]
    volumes: dict[str, dict[str, Any]]


def compose() -> Compose:
    return Compose.model_validate(yaml.safe_load((DEPLOY / "compose.yaml").read_text()))


def test_compose_has_all_services_and_every_reference_in_it_resolves():
    found = compose()
    assert set(found.services) == {
        "kafka", "clickhouse", "setup", "gateway", "worker", "sink", "pull", "prometheus",
        "grafana",
    }  # fmt: skip
    conditions = {"service_started", "service_healthy", "service_completed_successfully"}
    for service in found.services.values():
        for other, how in service.depends_on.items():
            assert how["condition"] in conditions
            assert how["condition"] != "service_healthy" or found.services[other].healthcheck
            assert other in found.services
        for volume in service.volumes:
            source = volume.split(":")[0]
            assert (DEPLOY / source).exists() if source.startswith(".") else source in found.volumes


def test_our_services_run_commands_that_exist_from_the_one_image():
    for name, service in compose().services.items():
        if service.image != "touchline":
            continue
        assert service.command == [name]
        assert name in COMMANDS
        assert service.build is not None
        assert (DEPLOY / service.build["context"] / service.build["dockerfile"]).exists()


def test_the_configuration_in_the_image_is_valid(monkeypatch: pytest.MonkeyPatch):
    for name in compose().shared["environment"]:
        if not name.startswith("TOUCHLINE"):
            monkeypatch.setenv(name, "secret-of-the-test")
    loaded = load(DEPLOY / "docker" / "touchline.yaml")
    assert len(gateway_sources(loaded)) == len(loaded.settings.sources)
    assert loaded.settings.gateway.host == "0.0.0.0"


def test_prometheus_scrapes_every_process_at_the_ports_where_it_serves():
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    targets = {
        job["job_name"]: job["static_configs"][0]["targets"] for job in config["scrape_configs"]
    }
    first = 9464
    assert targets == {
        "gateway": ["gateway:8080"],
        "worker": [f"worker:{first + i}" for i in range(len(STAGE_NAMES))],
        "sink": [f"sink:{first}"],
    }


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool (Prometheus) is not installed")
def test_promtool_accepts_configuration_and_alerts():
    config = DEPLOY / "prometheus" / "prometheus.yml"
    result = subprocess.run(
        ["promtool", "check", "config", str(config)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


def expressions() -> Iterator[str]:
    alerts = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())
    for group in alerts["groups"]:
        yield from (rule["expr"] for rule in group["rules"])
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            yield from (target["expr"] for target in panel.get("targets", ()))


def exposed() -> dict[str, Metric]:
    """Every name under which a metric of the catalogue is exposed."""
    names: dict[str, Metric] = {}
    for metric in CATALOGUE:
        names[PREFIX + metric.name] = metric
        if metric.kind is Histogram:
            names |= {
                f"{PREFIX}{metric.name}_{part}": metric for part in ("bucket", "sum", "count")
            }
    return names


def test_every_metric_that_dashboard_and_alerts_name_exists_with_its_labels():
    known = exposed()
    used = [match for text in expressions() for match in _SELECTOR.finditer(text)]
    assert len(used) > 30
    for match in used:
        assert match[1] in known, f"{match[1]} is not in the catalogue"
        labels = set(re.findall(r"(\w+)\s*[=!]~?", match[2] or ""))
        assert labels <= set(known[match[1]].labels)


def test_aggregations_are_by_labels_that_the_metric_has():
    known = exposed()
    for text in expressions():
        grouped = {
            label
            for by in re.findall(r"by \(([^)]*)\)", text)
            for label in by.replace(" ", "").split(",")
        }
        of = {label for match in _SELECTOR.finditer(text) for label in known[match[1]].labels}
        assert grouped <= of | {"le"}, text


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_has_unique_panels_that_do_not_overlap(path: Path):
    panels = json.loads(path.read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken
        taken |= cells


def test_the_catalogue_is_named_by_the_rules():
    names = [metric.name for metric in CATALOGUE]
    assert len(set(names)) == len(names)
    registry = CollectorRegistry()
    for metric in CATALOGUE:
        metric.make(registry)
        assert metric.doc
        assert (metric.kind is Counter) == metric.name.endswith("_total")
        assert not {"profile_id", "email", "value", "identifier"} & set(metric.labels)


def test_the_image_is_installed_without_any_extra():
    (install,) = re.findall(r"pip install (.*)", DOCKERFILE.read_text())
    assert install == "--no-cache-dir ."


def panels() -> list[dict[str, Any]]:
    found = [panel for path in DASHBOARDS for panel in json.loads(path.read_text())["panels"]]
    return [panel for panel in found if panel["type"] != "row"]


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel["title"])
def test_a_panel_says_what_it_shows_of_the_data_source_that_was_chosen(panel: dict[str, Any]):
    assert panel["description"]
    assert panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    for part in (panel, *panel["targets"]):
        assert part["datasource"]["uid"] == "${datasource}"


def test_every_metric_is_on_a_dashboard():
    shown = {match[1] for path in DASHBOARDS for match in _SELECTOR.finditer(path.read_text())}
    assert {exposed()[name].name for name in shown} == {metric.name for metric in CATALOGUE}
