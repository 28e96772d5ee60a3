"""The architecture, as imports: schemas <- {ingest, processors, sinks} <- deploy."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.imports import ROOT, imported_names

#: Package -> the packages of ours that it may import.
ALLOWED = {
    "schemas": {"schemas"},
    "ingest": {"schemas", "ingest"},
    "processors": {"schemas", "processors"},
    "sinks": {"schemas", "sinks"},
    "deploy": {"schemas", "ingest", "processors", "sinks", "deploy"},
}
OURS = {*ALLOWED, "tests", "benchmarks"}
#: Room of deploy -> the other rooms of deploy that it may import.
DEPLOY_ROOMS = {
    "config": set(),
    "kafka": {"config"},
    "runtime": {"config", "kafka"},
    "operations": {"config", "kafka", "runtime"},
    "local": {"config", "kafka", "runtime", "operations"},
    "demo": {"config", "kafka", "runtime", "operations", "local"},
    "cli": {"config", "kafka", "runtime", "operations", "local", "demo"},
}
#: Room of processors -> the other rooms and modules of processors that it may import.
PROCESSORS_ROOMS = {
    "segments": set(),
    "engagement": {"stage"},
    "trails": {"stage", "engagement"},
    "graph": {"stage"},
    "profiles": {"stage", "segments"},
    "engine": {"stage", "stage_topics"},
}
#: Room of ingest -> the other rooms and modules of ingest that it may import.
INGEST_ROOMS = {
    "publishing": set(),
    "kit": {"connector", "loose_json", "multipart_form", "request"},
    "intake": {"connector", "loose_json", "request", "publishing"},
    "connectors": {"connector", "loose_json", "request", "kit"},
    "files": {"connector", "kit", "intake", "publishing"},
    "gateway": {"connector", "kit", "connectors", "intake", "publishing"},
    "testing": {"connector", "kit", "intake", "files", "registry"},
}
#: A file of a room that may import more: a connector's contract holds it to the suites.
CONTRACTS = "testing"
#: A foreign package -> the only places (file or folder) that may import it.
RESERVED = {
    "multipart": ("ingest/multipart_form.py",),
    "faust": ("processors/engine", "deploy/runtime/worker.py"),
    "mode": ("processors/engine", "deploy/runtime/worker.py"),
    "rocksdict": ("processors/engine",),
    "clickhouse_connect": ("sinks/clickhouse/client.py",),
    "chdb": ("deploy/local",),
    "confluent_kafka": ("deploy/local",),
    "rich": ("deploy/demo",),
    "aiohttp": ("ingest/gateway", "deploy/demo", "deploy/local"),
    "yaml": (
        "deploy/config/yaml_file.py",
        "deploy/demo/stack.py",  # writes it
        "ingest/connectors/mapped/contract.py",
        "ingest/connectors/mapped/catalogue.py",
    ),
}
MODULES = sorted(path for package in ALLOWED for path in (ROOT / package).rglob("*.py"))


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """(line, top-level package) of every import, those inside functions too."""
    for line, name in imported_names(path):
        yield line, name.split(".")[0]


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_a_module_imports_only_from_its_own_layer_and_below(path: Path):
    allowed = ALLOWED[path.relative_to(ROOT).parts[0]]
    wrong = [
        f"{relative(path)}:{line} imports {package}"
        for line, package in imports(path)
        if package in OURS and package not in allowed
    ]
    assert not wrong


@pytest.mark.parametrize("room", DEPLOY_ROOMS)
def test_a_room_of_deploy_imports_only_from_the_rooms_below(room: str):
    wrong = [
        f"{relative(path)}:{line} imports {name}"
        for path in (ROOT / "deploy" / room).rglob("*.py")
        for line, name in imported_names(path)
        if name.startswith("deploy.") and name.split(".")[1] not in {room, *DEPLOY_ROOMS[room]}
    ]
    assert not wrong


def test_every_module_of_deploy_is_in_a_room():
    folders = {path.parent.name for path in (ROOT / "deploy").glob("*/__init__.py")}
    assert folders == set(DEPLOY_ROOMS)
    modules = {path.name for path in (ROOT / "deploy").glob("*.py")}
    assert modules == {"__init__.py", "__main__.py"}


@pytest.mark.parametrize("room", PROCESSORS_ROOMS)
def test_a_stage_knows_no_other_stage_and_no_engine(room: str):
    wrong = [
        f"{relative(path)}:{line} imports {name}"
        for path in (ROOT / "processors" / room).rglob("*.py")
        for line, name in imported_names(path)
        if name.startswith("processors.")
        and name.split(".")[1] not in {room, *PROCESSORS_ROOMS[room]}
    ]
    assert not wrong


def test_every_room_of_processors_is_known():
    folders = {path.parent.name for path in (ROOT / "processors").glob("*/__init__.py")}
    assert folders == set(PROCESSORS_ROOMS)


@pytest.mark.parametrize("room", INGEST_ROOMS)
def test_a_room_of_ingest_imports_only_from_the_rooms_below(room: str):
    wrong = [
        f"{relative(path)}:{line} imports {name}"
        for path in (ROOT / "ingest" / room).rglob("*.py")
        for line, name in imported_names(path)
        if name.startswith("ingest.")
        and name.split(".")[1] not in {room, *INGEST_ROOMS[room]}
        and not (path.name == "contract.py" and name.split(".")[1] == CONTRACTS)
    ]
    assert not wrong


def test_every_room_of_ingest_is_known():
    folders = {path.parent.name for path in (ROOT / "ingest").glob("*/__init__.py")}
    assert folders == set(INGEST_ROOMS)
    modules = {path.stem for path in (ROOT / "ingest").glob("*.py")}
    assert modules == {
        "__init__",
        "connector",
        "loose_json",
        "multipart_form",
        "registry",
        "request",
    }


def test_the_interface_of_connectors_imports_no_room():
    for name in ("connector.py", "loose_json.py", "multipart_form.py", "request.py", "registry.py"):
        found = {name for _, name in imported_names(ROOT / "ingest" / name)}
        ours = {name.split(".")[1] for name in found if name.startswith("ingest.")}
        assert ours <= {"connector", "loose_json", "multipart_form", "request"}


@pytest.mark.parametrize("library", RESERVED)
def test_a_library_stays_behind_its_adapter(library: str):
    wrong = [
        f"{relative(path)}:{line} imports {library}"
        for path in MODULES
        for line, package in imports(path)
        if package == library and not relative(path).startswith(RESERVED[library])
    ]
    assert not wrong


def test_only_the_settings_read_the_environment():
    wrong = [
        f"{relative(path)}:{node.lineno}"
        for path in MODULES
        if relative(path) != "deploy/config/settings.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.Attribute) and node.attr in {"environ", "environb", "getenv"})
        or (isinstance(node, ast.ImportFrom) and node.module == "os" and _names_environment(node))
    ]
    assert not wrong


def _names_environment(node: ast.ImportFrom) -> bool:
    return any(alias.name in {"environ", "environb", "getenv"} for alias in node.names)
