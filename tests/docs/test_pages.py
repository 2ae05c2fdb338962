"""Links, paths and length of the documentation."""

import ast
import re
import textwrap
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml

from pipeline.code_keys import PACKAGES, ROOT
from pipeline.config import ServingOptions
from tests.docs.pages import FENCE, PAGES, name, prose

LINK = re.compile(r"(!?)\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^)\s]+)\)")
TOP = (*PACKAGES, "tests", "benchmarks", "image", "requirements", "notebooks", "docs")
PATH = re.compile(rf"`((?:{'|'.join(TOP)}|\.github)/[\w./{{}}-]*)`")
MODULE = re.compile(rf"`((?:{'|'.join(PACKAGES)})(?:\.\w+)+)`|^::: (\S+)", re.MULTILINE)
WORDS = (400, 900)


def _anchors(page: Path) -> set[str]:
    """Returns the anchors of the headings of a page, as Python-Markdown makes them."""
    headings = re.findall(r"^#+ +(.+)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    plain = (re.sub(r"[`*]|\[|\]\([^)]*\)", "", heading) for heading in headings)
    return {re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", text).strip().lower()) for text in plain}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    broken = []
    for _, target in LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = unquote(target).partition("#")
        path = (page.parent / file).resolve() if file else page
        if not path.exists() or (anchor and anchor not in _anchors(path)):
            broken.append(target)
    assert not broken


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_paths_exist(page: Path) -> None:
    placeholder, feature = re.compile("[A-Z]{4}"), re.compile(r"image/[a-z\d]+$")
    paths = [path for path in PATH.findall(page.read_text()) if not placeholder.search(path)]
    assert not [path for path in paths if not (ROOT / path).exists() and not feature.match(path)]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_modules_and_names_exist(page: Path) -> None:
    missing = []
    for match in MODULE.finditer(page.read_text()):
        dotted = match[1] or match[2]
        key = dotted.removeprefix("serving.") in ServingOptions.model_fields  # of a configuration
        if not key and not _defined(dotted.split(".")):
            missing.append(dotted)
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_python_examples_import_what_exists(page: Path) -> None:
    examples = [
        code for _, language, code in FENCE.findall(page.read_text()) if language == "python"
    ]
    imported = [
        [*(node.module or "").split("."), alias.name]
        for code in examples
        if "import " in code
        for node in ast.walk(ast.parse(textwrap.dedent(code)))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    own = [parts for parts in imported if parts[0] in PACKAGES]
    assert not [parts for parts in own if not _defined(parts)]


def _defined(parts: list[str]) -> bool:
    """Whether a dotted name is a module, or a public name in one; imports nothing."""
    for length in range(len(parts), 0, -1):
        base = ROOT.joinpath(*parts[:length])
        file = base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
        if file.exists():
            rest = parts[length:]
            return not rest or rest[0] in _names(file)
    return False


def _names(file: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
    return names


def test_the_readme_is_short() -> None:
    text = re.sub(r"\]\([^)]*\)", "]", prose(ROOT / "README.md"))
    words = re.findall(r"[^\W_][\w'.-]*", text)
    assert WORDS[0] <= len(words) <= WORDS[1]


def test_every_page_is_in_the_navigation() -> None:
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text())

    def pages(entry: object) -> list[str]:
        if isinstance(entry, str):
            return [entry]
        children = entry.values() if isinstance(entry, dict) else entry
        return [page for child in children for page in pages(child)]  # type: ignore[attr-defined]

    folder = ROOT / "docs"
    assert sorted(pages(site["nav"])) == sorted(
        str(page.relative_to(folder)) for page in folder.rglob("*.md")
    )


def test_every_picture_is_used() -> None:
    used = {
        (page.parent / target).resolve()
        for page in PAGES
        for image, target in LINK.findall(prose(page))
        if image
    }
    assert set((ROOT / "docs" / "images").iterdir()) <= used


def test_the_architecture_lists_every_folder() -> None:
    text = (ROOT / "docs" / "explanation" / "architecture.md").read_text()
    block = text.split("<!-- folders -->")[1].split("```")[1]
    listed, parents = set(), [""]
    for line in block.splitlines()[1:]:
        depth = (len(line) - len(line.lstrip())) // 2
        parents[depth + 1 :] = [parents[depth] + line.split()[0]]
        listed.add(parents[-1].rstrip("/"))
    inside = {
        str(file.parent.relative_to(ROOT))
        for package in PACKAGES
        for file in (ROOT / package).rglob("*.py")
    }
    assert inside <= listed
    assert not [folder for folder in listed if not (ROOT / folder).is_dir()]


def test_no_page_names_a_registry() -> None:
    hosts = re.compile(r"pypi\.org|docker\.io|gcr\.io|ghcr\.io|quay\.io|registry\.k8s\.io|npmjs")
    assert not [name(page) for page in PAGES if hosts.search(page.read_text())]


def test_the_citation_has_what_the_format_requires() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert f'version="{citation["version"]}"' in (ROOT / "setup.py").read_text()
