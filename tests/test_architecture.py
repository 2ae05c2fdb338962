"""Rules of the code base that no linter checks; `pyproject.toml` has the import layers."""

import ast
import collections
import re
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest

from pipeline.code_keys import PACKAGES, ROOT

MAX_LINES = 300
MAX_FILES = 12
CHECKED = (*PACKAGES, "tests", "benchmarks", "image")
GENERATED = "_pb2.py"


def _files(*folders: str) -> list[Path]:
    found = (file for folder in folders for file in (ROOT / folder).rglob("*.py"))
    return sorted(file for file in found if not file.name.endswith(GENERATED))


def _name(file: Path) -> str:
    return str(file.relative_to(ROOT))


def test_no_import_cycles_between_modules() -> None:
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    cycles = {
        tuple(sorted((importer, imported)))
        for importer in graph.modules
        for imported in graph.find_modules_directly_imported_by(importer)
        if importer in graph.find_upstream_modules(imported)
    }
    assert not cycles


def test_files_are_short() -> None:
    lengths = {_name(file): len(file.read_text().splitlines()) for file in _files(*CHECKED)}
    assert not {name: lines for name, lines in lengths.items() if lines > MAX_LINES}


def test_folders_are_small() -> None:
    counts = collections.Counter(_name(file.parent) for file in _files(*CHECKED))
    assert not {folder: files for folder, files in counts.items() if files > MAX_FILES}


def test_public_class_names_are_unique() -> None:
    defined = collections.defaultdict(list)
    for file in _files(*PACKAGES):
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                defined[node.name].append(_name(file))
    assert not {name: files for name, files in defined.items() if len(files) > 1}


def test_sql_stays_in_the_catalog_of_ingest() -> None:
    catalog = ROOT / "core/ingest/catalog"
    statements = re.compile(r"\.(?:execute|executemany|executescript)\(")
    outside = [
        _name(file)
        for file in _files(*PACKAGES)
        if statements.search(file.read_text()) and catalog not in file.parents
    ]
    assert not outside


def test_parquet_files_are_read_without_partitions() -> None:
    """pyarrow takes `key=value` in the path of a work folder for a column."""
    calls = re.compile(r"\b(?:pq\.read_table|pd\.read_parquet)\([^\n]*")
    found = [call for file in _files(*PACKAGES) for call in calls.findall(file.read_text())]
    assert len(found) > 3
    assert [call for call in found if "partitioning=None" not in call] == []


def _test_imports() -> Iterator[tuple[str, str]]:
    """Yields each test file and the test file or conftest that it imports from."""
    for file in _files("tests"):
        for node in ast.walk(ast.parse(file.read_text())):
            module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
            if module.startswith("tests.") and re.match(r"test_|conftest", module.split(".")[-1]):
                yield _name(file), module


def test_tests_share_helpers_through_support_only() -> None:
    assert not list(_test_imports())


@pytest.mark.parametrize(
    ("word", "pattern", "at_most"),
    [
        # Words that docs/style.md replaces; the pattern finds them in identifiers and prose.
        ("told, tell", r"(?i)(?<![a-z])(?:told|tells?|telling)(?![a-z])", 0),
        ("parameter `of`", r"(?:\(|, )of(?:: [^,)=]+| ?=)", 0),
        ("trunk", r"(?i)trunk(?!c|at)", 4),  # names of renamed configuration keys
        ("fmt: skip", r"# fmt: (?:skip|off)", 9),
    ],
)
def test_words(word: str, pattern: str, at_most: int) -> None:
    found = [
        f"{_name(file)}:{number}"
        for file in _files(*PACKAGES, "tests", "benchmarks")
        if file != Path(__file__)
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if re.search(pattern, line)
    ]
    assert len(found) <= at_most, f"{word}: {len(found)}, such as {found[:10]}"
