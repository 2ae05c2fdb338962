"""Split policies and what leaks between splits."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from core.ingest.catalog.database import Catalog
from core.ingest.scan import SourceEntry
from core.ingest.splits.leakage import LeakageError, leakage_report
from tests.core.ingest.trees import (
    checked,
    jpeg,
    official,
    put,
    run,
    split_of,
    write,
)


def test_given_keeps_every_folder_and_reports_shared_patients(tmp_path):
    source = official(tmp_path / "s")
    run(source, tmp_path / "d", split="given")
    assert all(name.startswith(split + "/") for name, split in split_of(tmp_path / "d").items())
    report = json.loads((tmp_path / "d/leakage.json").read_text())
    assert {entry["patient"] for entry in report["patients"]} == {"im-3", "person-5"}
    assert not report["ok"]
    assert "need not be one child" in report["notes"][0]


def test_a_key_in_official_train_and_test_is_reported_and_stays(tmp_path):
    source = official(tmp_path / "s")
    write(source, ["test/PNEUMONIA/person1_virus_1.jpeg"], first_seed=900)
    summary = run(source, tmp_path / "d")
    split = split_of(tmp_path / "d")
    assert split["test/PNEUMONIA/person1_virus_1.jpeg"] == "test"
    assert split["train/PNEUMONIA/person1_bacteria_2.jpeg"] in ("train", "val")
    assert summary.leakage["patients_in_two_splits"] == 1
    assert not summary.leakage_ok


def _leaky(source: Path) -> Path:
    """Writes equal bytes, equal pixels and a near-duplicate in train and test, and wrong labels."""
    import io

    from PIL import Image

    official(source)
    data = (source / "train/PNEUMONIA/person2_bacteria_4.jpeg").read_bytes()
    put(source / "test/PNEUMONIA/person801_bacteria_1.jpeg", data)
    pixels = Image.open(source / "train/NORMAL/IM-0008-0001.jpeg")
    out = io.BytesIO()
    pixels.save(out, "PNG")
    put(source / "test/PNEUMONIA/person802_virus_1.png", out.getvalue())
    near = Image.open(source / "train/NORMAL/IM-0009-0001.jpeg").point(
        [min(255, v + 9) for v in range(256)]
    )
    out = io.BytesIO()
    near.save(out, "JPEG", quality=70)
    put(source / "test/NORMAL/IM-0803-0001.jpeg", out.getvalue())
    put(source / "train/NORMAL/person804_virus_1.jpeg", jpeg(804))
    return source


def test_leaks_are_found(tmp_path):
    source = _leaky(tmp_path / "s")
    summary = run(source, tmp_path / "d", split="given")
    report = json.loads((tmp_path / "d/leakage.json").read_text())
    exact = {tuple(e["files"]): e for e in report["exact"]}
    same = exact[
        "test/PNEUMONIA/person801_bacteria_1.jpeg", "train/PNEUMONIA/person2_bacteria_4.jpeg"
    ]
    assert same["same_bytes"]
    assert same["across_splits"]
    pixels = exact["test/PNEUMONIA/person802_virus_1.png", "train/NORMAL/IM-0008-0001.jpeg"]
    assert not pixels["same_bytes"]
    assert [sorted(e["files"]) for e in report["near"]] == [
        ["test/NORMAL/IM-0803-0001.jpeg", "train/NORMAL/IM-0009-0001.jpeg"]
    ]
    assert 0 <= report["near"][0]["distance"] <= 24
    assert {(e["kind"], *e["pathogens"]) for e in report["contradictory"]} == {
        ("pixels", "normal", "virus"),
        ("name", "normal", "virus"),
    }
    assert (
        report["counts"]
        == summary.leakage
        == {
            "exact_across_splits": 2,
            "exact_within_split": 0,
            "near_across_splits": 1,
            "near_within_split": 0,
            "patients_in_two_splits": 2,
            "contradictory": 2,
            "images_without_known_patient": 0,
        }
    )


def _catalog(path: Path, train: dict[str, Any], test: dict[str, Any]) -> Catalog:
    """Returns a catalog with one file in each split; they differ in all fields by default."""
    catalog = Catalog(path)
    files = [{"path": "a.png", **train}, {"path": "b.png", **test}]
    catalog.files.add_entries([SourceEntry(file["path"], "file") for file in files])
    for file, split in zip(files, ("train", "test"), strict=True):
        path = file.pop("path")
        patient, pathogen = file.pop("patient", path), file.pop("pathogen", "normal")
        catalog.files.label(path, pathogen, patient=patient, official_split=split)
        hashes = {"pixel_hash": path, "sha256": path}
        hashes["perceptual_hash"] = hashlib.sha256(path.encode()).hexdigest()
        catalog.files.add_check(checked(path, **hashes | file), sort_key="")
    catalog.splits.use_official()
    return catalog


@pytest.mark.parametrize(
    ("train", "test", "cause"),
    [
        ({}, {}, None),
        ({"pixel_hash": "same"}, {"pixel_hash": "same"}, "exact_across_splits"),
        (
            {"perceptual_hash": "61" * 32},
            {"perceptual_hash": "61" * 31 + "62"},
            "near_across_splits",
        ),
        ({"patient": "same"}, {"patient": "same"}, "patients_in_two_splits"),
        ({"path": "bacteria.png", "pathogen": "virus"}, {}, "contradictory"),
    ],
)
def test_each_cause_alone_is_a_leak(tmp_path, train, test, cause):
    catalog = _catalog(tmp_path / "catalog", train, test)
    report = leakage_report(catalog, "given", 24, tmp_path)
    assert report["ok"] is (cause is None)
    assert {name for name, count in report["counts"].items() if count} == {cause} - {None}


def test_unknown_patients_are_no_leak_but_counted(tmp_path):
    catalog = _catalog(tmp_path / "catalog", {"patient": "nan"}, {"patient": "Unknown"})
    report = leakage_report(catalog, "given", 24, tmp_path)
    assert report["ok"]
    assert report["counts"]["images_without_known_patient"] == 2
    assert "2 of 2 images have no known patient" in report["notes"][-1]
    assert "cannot see whether one patient is in two splits" in report["notes"][-1]


def test_duplicates_within_a_split_are_no_leak(tmp_path):
    source = official(tmp_path / "s")
    copy = source / "train/NORMAL/IM-0001-0001.jpeg"
    put(source / "train/NORMAL/IM-0001-0009.jpeg", copy.read_bytes())
    summary = run(source, tmp_path / "d")
    assert summary.leakage["exact_within_split"] == 1
    assert summary.leakage_ok


def test_unknown_pathogen_does_not_contradict_pneumonia(tmp_path):
    source = write(tmp_path / "s", [f"NORMAL/{n}.jpeg" for n in range(3)])
    for name in ("PNEUMONIA/x.jpeg", "BACTERIA/y.jpeg"):
        put(source / name, jpeg(77))
    assert run(source, tmp_path / "d").leakage["contradictory"] == 0


@pytest.mark.parametrize(
    ("pathogen", "contradictory"), [("normal", 1), ("unknown", 1), ("bacteria", 1), ("other", 0)]
)
def test_other_contradicts_all_but_itself(tmp_path, pathogen, contradictory):
    source = write(tmp_path / "s", [f"NORMAL/{n}.jpeg" for n in range(3)])
    for name in ("a/x.jpeg", "b/y.jpeg"):
        put(source / name, jpeg(77))
    summary = run(source, tmp_path / "d", class_map={"a": "other", "b": pathogen})
    assert summary.leakage["contradictory"] == contradictory


def test_on_leak_fail_writes_no_data_set(tmp_path):
    source = _leaky(tmp_path / "s")
    with pytest.raises(LeakageError, match=r"2 equal images, 1 near duplicates.*leakage\.json"):
        run(source, tmp_path / "d", split="given", on_leak="fail")
    assert not (tmp_path / "d").exists()
    assert json.loads((tmp_path / ".d.ingest/leakage.json").read_text())["ok"] is False
    run(source, tmp_path / "d", split="given")
    with pytest.raises(LeakageError):  # the data set that is there leaks
        run(source, tmp_path / "d", split="given", on_leak="fail")


def test_on_leak_fail_without_leaks(tmp_path):
    assert run(official(tmp_path / "s"), tmp_path / "d", on_leak="fail").leakage_ok


def test_flat_images_are_no_near_duplicates(tmp_path):
    from PIL import Image

    from tests.support.images.synthetic import encode

    source = official(tmp_path / "s")
    for split, value in (("train", 10), ("test", 240)):
        blank = encode(Image.new("L", (64, 64), value), "PNG")
        put(source / f"{split}/NORMAL/blank{value}.png", blank)
    assert run(source, tmp_path / "d").leakage["near_across_splits"] == 0
