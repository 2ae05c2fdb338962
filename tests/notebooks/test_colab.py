"""The notebook as it is committed, and as it runs from the first cell to the last."""

import base64
import json
import os
import re
import sys
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
slow = pytest.mark.slow  # the notebook, cell by cell, with a tuner and two phases
FIGURES = ("samples", "history", "roc", "confusion", "calibration", "predict")


def load() -> NotebookNode:
    return nbformat.read(FILE, as_version=nbformat.NO_CONVERT)


def test_the_committed_file_is_valid_and_small_and_has_no_outputs() -> None:
    notebook = load()
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert FILE.stat().st_size < 64 * 1024
    for cell in notebook.cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
        assert cell.source.strip(), cell.id


def test_it_says_what_it_is_not() -> None:
    assert "not a medical device" in load().cells[0].source


def execute(notebook: NotebookNode, folder: Path, environment: dict[str, str]) -> None:
    """Runs all cells in this interpreter's packages, whatever kernels are installed."""
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient

    spec = folder / "kernels" / "python3"
    spec.mkdir(parents=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    facts = {"argv": command, "display_name": "Python 3", "language": "python"}
    (spec / "kernel.json").write_text(json.dumps(facts))
    specs = KernelSpecManager(kernel_dirs=[str(spec.parent)], ensure_native_kernel=False)
    kernel = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=specs)
    client = NotebookClient(
        notebook, km=kernel, timeout=900, resources={"metadata": {"path": str(FILE.parent)}}
    )
    client.execute(env={**os.environ, **environment, "IPYTHONDIR": str(folder / "ipython")})


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[Any]]]:
    """The folder of the run, and the outputs of each cell."""
    folder = tmp_path_factory.mktemp("notebook")
    (folder / "small.yaml").write_text(CONFIG)
    settings = {
        "COLAB": "0",
        "CONFIG": str(folder / "small.yaml"),
        "SET": "training.epochs=4 'model.dense=[8, 8]'",
        "DATA": "phantoms",
        "PHANTOMS": "60",
        "PHANTOM_SIZE": "128",
        "WORK": str(folder / "work"),
        "KEEP": str(folder / "kept"),
    }
    notebook = load()
    environment = {f"PNEUMO_NOTEBOOK_{name}": value for name, value in settings.items()}
    execute(notebook, folder, environment)  # a cell that fails raises with its traceback
    return folder, {cell.id: cell.get("outputs", []) for cell in notebook.cells}


def text(outputs: list[Any]) -> str:
    return "".join(output.text for output in outputs if output.output_type == "stream")


def images(outputs: list[Any]) -> list[bytes]:
    shown = [output.data for output in outputs if output.output_type == "display_data"]
    return [base64.b64decode(data["image/png"]) for data in shown if "image/png" in data]


def report(folder: Path) -> dict[str, Any]:
    run = json.loads((folder / "work" / "run.json").read_text())
    values: dict[str, Any] = json.loads(Path(run["report"]).with_suffix(".json").read_text())
    return values


@slow
def test_no_cell_fails_and_each_figure_is_drawn(ran: tuple[Path, dict[str, list[Any]]]) -> None:
    _, outputs = ran
    for name, its in outputs.items():
        assert all(output.output_type != "error" for output in its), name
    for name in FIGURES:
        drawn = images(outputs[name])
        assert len(drawn) == 1, name
        assert drawn[0].startswith(b"\x89PNG") and len(drawn[0]) > 2000, name


@slow
def test_parts_of_colab_are_off(ran: tuple[Path, dict[str, list[Any]]]) -> None:
    _, outputs = ran
    assert outputs["install"] == []
    assert outputs["drive"] == []


@slow
def test_it_shows_the_data_and_the_settings_reach_the_run(
    ran: tuple[Path, dict[str, list[Any]]],
) -> None:
    folder, outputs = ran
    assert re.search(r"TensorFlow \d+\.\d+\.\d+ sees", text(outputs["gpu"]))
    assert "60 synthetic radiographs" in text(outputs["data"])
    counts = outputs["counts"][0].data["text/plain"]
    rows = [line.split()[1:] for line in counts.splitlines() if re.match("(train|val|test) ", line)]
    assert sum(int(n) for row in rows for n in row) == 60
    assert "ModelCard" in text(outputs["run"])
    assert "\x1b" not in text(outputs["run"])  # plain lines, no spinner
    assert "SYNTHETIC" in text(outputs["results"])
    assert report(folder)["training"]["tuned"]["dense"] == [8, 8]
    assert len(report(folder)["history"]["loss"]) == 4


@slow
def test_its_numbers_are_those_of_the_report(ran: tuple[Path, dict[str, list[Any]]]) -> None:
    folder, outputs = ran
    metrics = report(folder)["metrics"]
    for name in ("auc", "accuracy"):
        found = re.search(
            rf"^{name} +(\S+) \((\S+) to (\S+)\)$", text(outputs["metrics"]), re.MULTILINE
        )
        assert found, text(outputs["metrics"])
        expected = [f"{metrics[name][key]:.3f}" for key in ("estimate", "low", "high")]
        assert list(found.groups()) == expected


@slow
def test_the_pushed_model_answers_as_it_did_on_test(
    ran: tuple[Path, dict[str, list[Any]]],
) -> None:
    from core.predictions.table import read

    folder, outputs = ran
    answer = json.loads(text(outputs["predict"]))
    assert answer["decision"] in ("POSITIVE", "NEGATIVE")
    table = next((folder / "work").rglob("predictions.parquet"))
    scores = {Path(row["filename"]).name: row["score"] for row in read(table).to_pylist()}
    assert answer["score"] == pytest.approx(scores[Path(answer["file"]).name], abs=1e-4)


@slow
def test_results_are_kept_and_pages_are_named(ran: tuple[Path, dict[str, list[Any]]]) -> None:
    import tarfile

    folder, outputs = ran
    kept = folder / "kept"
    with tarfile.open(kept / "work.tar") as archive:
        assert {"./run.json", "./metadata.sqlite"} <= set(archive.getnames())
    for page in ("report.html", "card.html"):
        assert "</html>" in (kept / page).read_text()
        assert page in text(outputs["pages"])
    assert len(list(kept.glob("serving/*/saved_model.pb"))) == 1
    assert not list(kept.glob("*.partial"))
