"""Outputs in the documentation are those of the commands before them."""

import re
import shlex
import sys
from pathlib import Path

import pytest

from pipeline.code_keys import ROOT
from tests.support.runs.processes import pneumo

# A block of commands, a comment that names the output, the block of the output.
SHOWN = re.compile(r"```sh\n([^`]*?)```\n\n<!-- output: (\w+) -->\n```text\n(.*?)```", re.DOTALL)
TUTORIAL = ROOT / "docs" / "tutorials" / "own-data.md"
COMPARE = ROOT / "docs" / "how-to" / "compare.md"
KUBEFLOW = ROOT / "docs" / "how-to" / "kubeflow.md"


def check(page: Path, expected: list[str], folder: Path) -> None:
    """Runs the commands of a page in order, in one folder."""
    shown = SHOWN.findall(page.read_text())
    assert [name for _, name, _ in shown] == expected
    for commands, _, output in shown:
        printed = ""
        for line in commands.strip().splitlines():
            arguments = shlex.split(line, comments=True)
            assert arguments[0] == "pneumo"
            printed += pneumo(*arguments[1:], cwd=folder).stdout
        assert output == printed.replace(f"{folder}/", "")


def test_the_tutorial_on_own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    check(TUTORIAL, ["phantom", "ingest"], tmp_path.resolve())


def test_the_list_of_configurations(tmp_path: Path) -> None:
    check(COMPARE, ["list"], tmp_path)


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="kfp's compiler needs Python 3.11")
def test_the_guide_to_kubeflow(tmp_path: Path) -> None:
    folder = tmp_path.resolve()
    check(KUBEFLOW, ["compile"], folder)
    command, message = re.findall(r"^\$ pneumo (.*)\n(pneumo: .*)$", KUBEFLOW.read_text(), re.M)[0]
    done = pneumo(*shlex.split(command), cwd=folder, check=False)
    assert (done.returncode, done.stderr.strip()) == (2, message)
