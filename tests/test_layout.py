"""The tests' own layout: they mirror the packages, and share helpers by `tests.support` alone."""

from collections.abc import Iterator
from pathlib import Path

from tests.support.imports import ROOT, imported_names

TESTS = Path(__file__).parent
MODULES = sorted(TESTS.rglob("*.py"))
#: Suites over several packages, and what all share.
OVERALL = {"benchmarks", "docs", "faults", "golden", "kafka", "properties", "scenarios", "support"}


def imported(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (file:line, full name) of each name that a module imports."""
    for line, name in imported_names(path):
        yield f"{path.relative_to(ROOT)}:{line}", name


def test_no_module_imports_everything_of_another():
    assert not [where for path in MODULES for where, name in imported(path) if name.endswith(".*")]


def test_tests_and_conftest_files_are_imported_by_nobody():
    wrong = [
        f"{where} imports {name}"
        for path in MODULES
        for where, name in imported(path)
        if name.startswith("tests.")
        and any(part == "conftest" or part.startswith("test_") for part in name.split("."))
    ]
    assert not wrong


def test_helpers_come_from_support_or_from_the_own_suite():
    wrong = []
    for path in MODULES:
        folders = path.relative_to(TESTS).parent.parts
        # The own folder, and the one above it.
        own = [f"tests.{'.'.join(folders[: n + 1])}." for n in range(len(folders))][-2:]
        wrong += [
            f"{where} imports {name}"
            for where, name in imported(path)
            if name.startswith("tests.") and not _comes_from(("tests.support.", *own), name)
        ]
    assert not wrong


def _comes_from(packages: tuple[str, ...], name: str) -> bool:
    """Return whether a module or a name of it is in one of the packages."""
    return f"{name}.".startswith(packages)


def test_folders_mirror_the_packages():
    folders = {path.parent.relative_to(TESTS) for path in TESTS.rglob("test_*.py")}
    mirrored = [folder for folder in folders if folder.parts and folder.parts[0] not in OVERALL]
    assert not [folder for folder in mirrored if not (TESTS.parent / folder).is_dir()]
