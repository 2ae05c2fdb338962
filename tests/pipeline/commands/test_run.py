import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from PIL import Image

from pipeline.commands.run import command, headline
from pipeline.config_file import load_config
from pipeline.runners.run import prepare_records, report_metrics, validation_metrics
from pipeline.runners.workspace import Workspace
from schema.errors import PneumoError
from tests.support.images.synthetic import encode, gray


def value(estimate: float | None, low: float | None = None) -> dict[str, Any]:
    return {"estimate": estimate, "low": low, "high": None if low is None else low + 0.1}


@pytest.mark.parametrize(
    ("metrics", "says"),
    [
        ({}, "AUC not defined, accuracy not defined"),
        ({"auc": value(None), "accuracy": value(0.5)}, "AUC not defined, accuracy 0.500"),
        ({"auc": value(0.9, 0.85), "accuracy": value(1.0, 0.9)}, "AUC 0.900 (0.850 to 0.950), acc"),
        (
            {"auc": value(0.9), "challenge": value(0.25, 0.2)},
            "challenge score 0.250 (0.200 to 0.300), AUC 0.900, accuracy",
        ),
    ],
)
def test_headline(metrics: dict[str, Any], says: str) -> None:
    assert headline(metrics).startswith(says)


def test_metrics_are_those_of_images_and_of_boxes() -> None:
    report = {"metrics": {"auc": value(0.9)}, "boxes": {"metrics": {"challenge": value(0.2)}}}
    assert report_metrics(report) == {"auc": value(0.9), "challenge": value(0.2)}
    assert report_metrics({"metrics": {"auc": value(0.9)}}) == {"auc": value(0.9)}
    assert report_metrics({}) == {}


def test_metrics_on_validation_with_and_without_folds(tmp_path: Path) -> None:
    training = {"calibration": {"auc": 0.8}}
    (tmp_path / "training.json").write_text(json.dumps(training))
    assert validation_metrics(tmp_path) == {"ordinary": {"auc": value(0.8)}}
    ordinary, shifted = ({"metrics": {"auc": value(auc, 0.5)}} for auc in (0.8, 0.7))
    for mean, expected in ((shifted, {"shifted": shifted["metrics"]}), (None, {})):
        content = {"ordinary": ordinary, "mean": mean}
        (tmp_path / "shifted_validation.json").write_text(json.dumps(content))
        assert validation_metrics(tmp_path) == {"ordinary": ordinary["metrics"], **expected}


def test_headline_of_validation_has_the_auc_alone() -> None:
    shown = headline({"auc": value(0.7, 0.6), "ece": value(0.1)}, ("auc",))
    assert shown == "AUC 0.700 (0.600 to 0.700)   95 % intervals by patient"


def folder_of(tmp_path: Path, **classes: int) -> Path:
    for name, n in classes.items():
        (tmp_path / "source" / name).mkdir(parents=True)
        for i in range(n):
            file = tmp_path / "source" / name / f"{name}{i}.png"
            file.write_bytes(encode(Image.fromarray(gray(40, 40, 50 * len(name) + i)), "PNG"))
    return tmp_path / "source"


def test_records_are_made_once_used_again_and_follow_the_images(tmp_path: Path) -> None:
    source = folder_of(tmp_path, NORMAL=12, PNEUMONIA=12)
    work = Workspace(tmp_path / "work")
    work.folder.mkdir()
    config = load_config("demo")
    records, first = prepare_records(config, source, work, None)
    assert records == work.records
    assert first.written == 24
    before = {p.name: p.stat().st_mtime_ns for p in records.iterdir()}
    _, again = prepare_records(config, source, work, None)
    assert again.reused
    assert {p.name: p.stat().st_mtime_ns for p in records.iterdir()} == before
    direct, summary = prepare_records(config, records, Workspace(tmp_path / "other"), None)
    assert direct == records
    assert summary.written == 24
    (source / "NORMAL" / "new.png").write_bytes(encode(Image.fromarray(gray(50, 40, 5)), "PNG"))
    assert prepare_records(config, source, work, None)[1].written == 25


def test_a_split_without_images_is_one_line(tmp_path: Path) -> None:
    source = folder_of(tmp_path, NORMAL=2, PNEUMONIA=2)
    work = Workspace(tmp_path / "work")
    work.folder.mkdir()
    config = load_config("demo", ["data.ingest.test_fraction=0.0"])
    with pytest.raises(PneumoError, match=r"no image in split '(test|val)'"):
        prepare_records(config, source, work, None)


@pytest.mark.parametrize(
    ("classes", "task", "says"),
    [
        (
            {"NORMAL": 12, "PNEUMONIE": 4},
            "binary",
            r"train has no image of PNEUMONIA.*4 files were rejected: folder 'PNEUMONIE' is no "
            r"class; did you mean PNEUMONIA\?",
        ),
        ({"NORMAL": 12}, "binary", "train has no image of PNEUMONIA; add images of it"),
        ({"NORMAL": 12, "PNEUMONIA": 12}, "bacteria_virus", "train has no image of VIRUS"),
        ({"NORMLA": 3, "other": 3}, "binary", r"folder 'NORMLA': did you mean NORMAL\?"),
    ],
)
def test_a_class_without_images_is_one_line_before_the_graph(
    classes: dict[str, int], task: str, says: str, tmp_path: Path
) -> None:
    source = folder_of(tmp_path, **classes)
    work = Workspace(tmp_path / "work")
    work.folder.mkdir()
    config = load_config("demo", [f"data.task={task}"])
    with pytest.raises(PneumoError, match=says) as caught:
        prepare_records(config, source, work, None)
    assert "\n" not in str(caught.value)


def test_folder_that_is_no_class_is_named(tmp_path: Path) -> None:
    source = folder_of(tmp_path, NORMAL=12, PNEUMONIA=12, Pnuemonia=2)
    work = Workspace(tmp_path / "work")
    work.folder.mkdir()
    _, summary = prepare_records(load_config("demo"), source, work, None)
    assert summary.rejected == 2
    (line,) = summary.unknown_classes
    assert line.startswith(
        "2 files were rejected: folder 'Pnuemonia' is no class; did you mean PNE"
    )


def test_no_such_folder_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(PneumoError, match="--data or PNEUMO_DATA"):
        prepare_records(load_config("demo"), tmp_path / "x", Workspace(tmp_path), None)


def records_of(tmp_path: Path, leakage_ok: bool) -> Path:
    folder = tmp_path / "records"
    folder.mkdir()
    texts = dict.fromkeys(["policy", "layout", "source_fingerprint", "content_sha256"], "")
    numbers = dict.fromkeys(["version", "found", "written", "rejected", "seed"], 0)
    groups = ["reasons", "skipped", "splits", "patients", "options", "versions"]
    keys = ("exact_across_splits", "near_across_splits", "patients_in_two_splits", "contradictory")
    summary = {**texts, **numbers, **{group: {} for group in groups}, "synthetic": False}
    summary |= {"leakage": dict.fromkeys(keys, 1), "leakage_ok": leakage_ok}
    (folder / "dataset.json").write_text(json.dumps(summary))
    return folder


def test_leaks_of_records_stop_the_run(tmp_path: Path) -> None:
    arguments = ["--data", str(records_of(tmp_path, leakage_ok=False)), "--on-leak", "fail"]
    done = CliRunner().invoke(command, [*arguments, "--workdir", str(tmp_path / "w")])
    assert (done.exit_code, "the splits leak (1 equal images" in done.output) == (3, True)


@pytest.mark.parametrize(
    "option", [("--manifest", "m.csv"), ("--boxes", "b.csv"), ("--class-map", "a=normal")]
)
def test_options_of_images_do_not_fit_records(tmp_path: Path, option: tuple[str, str]) -> None:
    data = str(records_of(tmp_path, leakage_ok=True))
    done = CliRunner().invoke(command, ["--data", data, *option])
    assert isinstance(done.exception, PneumoError)
    assert "holds records" in str(done.exception)


def test_options_describe_a_folder_of_images(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    arguments = ["--data", str(tmp_path / "images"), "--workdir", str(tmp_path / "w")]
    for option, message in (
        (["--class-map", "a=sick"], "data.ingest.class_map: .*use one of"),
        (["--set", "data.ingest.layout=class", "--manifest", "m.csv"], "layout can't be class"),
        (["--class-map", "=normal"], "is not NAME=PATHOGEN"),
    ):
        done = CliRunner().invoke(command, [*arguments, *option])
        assert done.exit_code
        assert re.search(message, f"{done.output} {done.exception}")
