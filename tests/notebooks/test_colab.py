"""The notebook as committed, and executed from the first cell to the last."""

import base64
import json
import os
import re
import sys
import tarfile
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat import NotebookNode

FILE = Path(__file__).parents[2] / "notebooks" / "colab.ipynb"
CONFIG = """
name: notebook
model: {backbone: MobileNetV2, weights: random, image_size: 64}
training: {epochs: 3, embedding: {batch_size: 16}}
evaluation: {resamples: 100, gate: {auc: {min: 0.0}}}
"""
slow = pytest.mark.slow  # executes the notebook with a whole run
FIGURES = {"samples": 1, "history": 2, "roc": 1, "confusion": 1, "calibration": 1}  # per cell
Outputs = dict[str, list[Any]]


def load() -> NotebookNode:
    return nbformat.read(FILE, as_version=nbformat.NO_CONVERT)


def test_the_committed_file_is_valid_and_small() -> None:
    notebook = load()
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert FILE.stat().st_size < 1 << 20


def test_outputs_are_saved_without_errors_or_paths_of_a_machine() -> None:
    outputs = {cell.id: cell.outputs for cell in load().cells if cell.cell_type == "code"}
    assert all(outputs[name] for name in outputs if name not in ("settings", "setup"))
    for name, saved in outputs.items():
        assert all(output.output_type != "error" for output in saved), name
    assert "SYNTHETIC" in text(outputs["metrics"])
    assert not re.search(r"/(?:tmp|work|root|home)/", json.dumps(outputs))


def test_colab_finds_badge_form_and_the_six_tasks() -> None:
    cells = {cell.id: cell.source for cell in load().cells}
    assert "not a medical device" in cells["intro"]
    assert "colab-badge.svg" in cells["intro"]
    assert len(re.findall(r"= .+  # @param ", cells["settings"])) == 7
    headings = re.findall(r"^## Task (\d):", "\n".join(cells.values()), re.MULTILINE)
    assert headings == list("123456")


def execute(notebook: NotebookNode, folder: Path) -> None:
    """Runs all cells in this interpreter's packages, whatever kernels are installed."""
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient

    spec = folder / "kernels" / "python3"
    spec.mkdir(parents=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    kernel_json = {"argv": command, "display_name": "Python 3", "language": "python"}
    (spec / "kernel.json").write_text(json.dumps(kernel_json))
    specs = KernelSpecManager(kernel_dirs=[str(spec.parent)], ensure_native_kernel=False)
    kernel = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=specs)
    client = NotebookClient(
        notebook, km=kernel, timeout=900, resources={"metadata": {"path": str(FILE.parent)}}
    )
    client.execute(env={**os.environ, "IPYTHONDIR": str(folder / "ipython")})


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outputs]:
    """The folder of the run, and the outputs of each cell."""
    folder = tmp_path_factory.mktemp("notebook")
    (folder / "small.yaml").write_text(CONFIG)
    settings = {
        "CONFIG": str(folder / "small.yaml"),
        "OVERRIDES": "training.epochs=4 'model.dense=[8, 8]'",
        "PHANTOMS": 60,
        "WORK": str(folder / "work"),
        "KEEP": str(folder / "kept"),
    }
    notebook = load()
    form = next(cell for cell in notebook.cells if cell.id == "settings")
    form.source += "".join(f"\n{name} = {value!r}" for name, value in settings.items())
    execute(notebook, folder)  # a cell that fails raises with its traceback
    return folder, {cell.id: cell.get("outputs", []) for cell in notebook.cells}


def text(outputs: list[Any]) -> str:
    return "".join(output.text for output in outputs if output.output_type == "stream")


def images(outputs: list[Any]) -> list[bytes]:
    shown = [output.data for output in outputs if "data" in output]
    return [base64.b64decode(data["image/png"]) for data in shown if "image/png" in data]


def report(folder: Path) -> dict[str, Any]:
    run = json.loads((folder / "work" / "run.json").read_text())
    values: dict[str, Any] = json.loads(Path(run["report"]).with_suffix(".json").read_text())
    return values


@slow
def test_no_cell_fails_and_each_figure_is_drawn(executed: tuple[Path, Outputs]) -> None:
    _, outputs = executed
    for name, saved in outputs.items():
        assert all(output.output_type != "error" for output in saved), name
    for name, figures in FIGURES.items():
        drawn = images(outputs[name])
        assert len(drawn) == figures, name
        assert all(png.startswith(b"\x89PNG") and len(png) > 2000 for png in drawn), name


@slow
def test_data_and_settings_reach_the_run(executed: tuple[Path, Outputs]) -> None:
    folder, outputs = executed
    assert re.search(r"TensorFlow \d+\.\d+\.\d+ on", text(outputs["session"]))
    assert "60 synthetic radiographs" in text(outputs["data"])
    counts = outputs["counts"][0].data["text/plain"]
    rows = [line.split()[1:] for line in counts.splitlines() if re.match("(train|val|test) ", line)]
    assert sum(int(n) for row in rows for n in row) == 60
    assert "ModelCard" in text(outputs["run"])
    assert "\x1b" not in text(outputs["run"])  # plain lines, no spinner
    assert "SYNTHETIC" in text(outputs["metrics"])
    assert report(folder)["training"]["tuned"]["dense"] == [8, 8]
    assert len(report(folder)["history"]["loss"]) == 4


@slow
def test_the_numbers_are_those_of_the_report(executed: tuple[Path, Outputs]) -> None:
    folder, outputs = executed
    shown = "\n".join(
        output.data["text/plain"] for output in outputs["metrics"] if "data" in output
    )
    for name in ("auc", "accuracy"):
        assert f"{report(folder)['metrics'][name]['estimate']:.3f}" in shown


@slow
def test_the_pushed_model_predicts_as_on_test(executed: tuple[Path, Outputs]) -> None:
    from core.predictions.table import read

    folder, outputs = executed
    line = next(row for row in text(outputs["predict"]).splitlines() if row.startswith("{"))
    prediction = json.loads(line)
    assert prediction["decision"] in ("POSITIVE", "NEGATIVE")
    table = next((folder / "work").rglob("predictions.parquet"))
    scores = {Path(row["filename"]).name: row["score"] for row in read(table).to_pylist()}
    assert prediction["score"] == pytest.approx(scores[Path(prediction["file"]).name], abs=1e-4)


@slow
def test_results_are_kept_and_restored(executed: tuple[Path, Outputs], tmp_path: Path) -> None:
    from pipeline.runners.notebook import restore

    folder, outputs = executed
    kept = folder / "kept"
    with tarfile.open(kept / "work.tar") as archive:
        assert {"./run.json", "./metadata.sqlite"} <= set(archive.getnames())
    for page in ("report.html", "card.html"):
        assert "</html>" in (kept / page).read_text()
        assert page in text(outputs["keep"])
    assert len(list(kept.glob("serving/*/saved_model.pb"))) == 1
    assert not list(kept.glob("*.partial"))
    assert restore(tmp_path / "again", kept)
    assert (tmp_path / "again" / "run.json").is_file()
    assert not restore(tmp_path / "again", kept)
