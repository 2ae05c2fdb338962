"""Labels from folders and manifests."""

import csv
import shutil
import unicodedata
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from schema.errors import PneumoError
from schema.files import read_lines
from tests.core.ingest.trees import (
    jpeg,
    official,
    put,
    rows,
    run,
    write,
)
from tests.support.images.radiographs import mask
from tests.support.images.synthetic import encode


def test_class_folders_are_split_by_patient(tmp_path):
    source = write(tmp_path / "s", [f"NORMAL/a{n}.jpeg" for n in range(12)])
    write(source, [f"Virus/b{n}.jpeg" for n in range(12)], first_seed=50)
    summary = run(source, tmp_path / "d")
    assert (summary.layout, summary.policy) == ("class", "patient")
    assert all(set(c) == {"normal", "virus"} for c in summary.splits.values())
    assert set(summary.splits) == {"train", "val", "test"}


def test_names_of_a_public_set_keep_patients_together(tmp_path):
    """NIH names in class folders: (patient)_(follow-up).png."""
    names = [
        f"{('NORMAL', 'PNEUMONIA')[n % 2]}/{n:08d}_{i:03d}.png"
        for n in range(1, 11)
        for i in (0, 1)
    ]
    summary = run(write(tmp_path / "s", names), tmp_path / "d")
    assert sum(summary.patients.values()) == 10
    assert sum(summary.unknown_patients.values()) == 0
    assert summary.leakage["patients_in_two_splits"] == 0
    assert summary.leakage_ok
    assert not summary.warnings


@pytest.mark.parametrize("table", [False, True])
def test_without_patients_every_image_is_its_own(tmp_path, table):
    """Equal names in many folders, and a table whose column patient holds placeholders."""
    paths = [f"{('NORMAL', 'PNEUMONIA')[n % 2]}/s{n}/image.jpeg" for n in range(20)]
    write(tmp_path / "s", paths)
    options = {}
    if table:
        words = ("nan", "None", " UNKNOWN", "n/a", "0", "")
        rows_ = [f"{path},normal,{words[n % 6]}" for n, path in enumerate(paths)]
        put(tmp_path / "m.csv", "\n".join(["path,label,patient", *rows_]).encode())
        options["manifest"] = tmp_path / "m.csv"
    summary = run(tmp_path / "s", tmp_path / "d", **options)
    assert sum(summary.patients.values()) == sum(summary.unknown_patients.values()) == 20
    assert set(summary.splits) == {"train", "val", "test"}
    assert summary.leakage["images_without_known_patient"] == 20
    assert summary.warnings[0].startswith("20 of 20 images have no known patient")
    assert not any(row["patient_known"] for row in rows(tmp_path / "d"))


def test_class_map(tmp_path):
    source = write(tmp_path / "s", ["gesund/a.jpeg", "krank/b_virus.jpeg", "krank/c.jpeg"])
    summary = run(source, tmp_path / "d", class_map={"Gesund": "normal", "krank": "unknown"})
    assert Counter(r["pathogen"] for r in rows(tmp_path / "d")) == {
        "normal": 1,
        "virus": 1,
        "unknown": 1,
    }
    assert summary.written == 3


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("name", ["Neumonía", "NEUMONÍA ", "neumonía/"])
def test_class_map_of_any_form(tmp_path, form, name):
    folder = unicodedata.normalize(form, "Neumonía")
    source = write(tmp_path / "s", [f"{folder}/a.jpeg", "NORMAL/b.jpeg"])
    other = unicodedata.normalize("NFD" if form == "NFC" else "NFC", name)
    summary = run(source, tmp_path / "d", class_map={other: "unknown"})
    assert (summary.written, summary.rejected) == (2, 0)


def test_misspelt_class_map(tmp_path):
    source = write(tmp_path / "s", ["Neumonia/a.jpeg", "NORMAL/b.jpeg"])
    with pytest.raises(PneumoError, match=r"'neumona' names no folder.*did you mean 'Neumonia'"):
        run(source, tmp_path / "d", class_map={"Neumona": "unknown"})
    assert run(source, tmp_path / "d", class_map={"tbc": "other"}).written == 1


def test_no_usable_image_names_the_first_reject(tmp_path):
    source = write(tmp_path / "s", ["img/scan-01.jpeg"])
    manifest = _manifest(tmp_path / "m.csv", [{"path": "img/scan-O1.jpeg", "label": "normal"}])
    with pytest.raises(
        PneumoError, match=r"img/scan-O1.jpeg: .*did you mean img/scan-01.jpeg\?; see"
    ):
        run(source, tmp_path / "d", manifest=manifest)


def test_masks_beside_images_are_rejected(tmp_path):
    """As in the COVID-19 Radiography Database, and named after their images."""
    names = [f"{folder}/{n}.png" for folder in ("COVID/images", "NORMAL/images") for n in range(4)]
    source = write(tmp_path / "s", names)
    write(source, [name.replace("images", "masks") for name in names], first_seed=50)
    write(source, ["NORMAL/images/0_mask.png"], first_seed=90)
    two_values = encode(Image.fromarray(mask()), "PNG")
    put(source / "NORMAL/images/x.png", two_values)
    summary = run(source, tmp_path / "d", class_map={"covid": "virus"})
    assert sorted(row["filename"] for row in rows(tmp_path / "d")) == sorted(names)
    assert summary.reasons == {"few_gray_values": 1, "mask": 9}
    assert summary.found == summary.written + summary.rejected == 18


def test_a_manifest_may_name_a_file_like_a_mask(tmp_path):
    source = write(tmp_path / "s", ["masks/a_mask.png", "b.png", "c.png"])
    table = tmp_path / "labels.csv"
    table.write_text("path,label\nmasks/a_mask.png,normal\nb.png,virus\nc.png,normal\n")
    assert run(source, tmp_path / "d", manifest=table).written == 3


def test_nested_copies_are_skipped(tmp_path):
    source = tmp_path / "s"
    official(source / "chest_xray")
    shutil.copytree(source / "chest_xray", tmp_path / "copy")
    shutil.copytree(tmp_path / "copy", source / "chest_xray/chest_xray")
    shutil.copytree(tmp_path / "copy", source / "chest_xray/__MACOSX")
    put(source / "chest_xray/chest_xray/train/NORMAL/only-here.jpeg", jpeg(999))
    put(source / "chest_xray/train/.DS_Store", b"x")
    summary = run(source, tmp_path / "d")
    assert summary.skipped == {"nested copy": 58, "__MACOSX": 58, ".DS_Store": 1}
    assert summary.written == 59
    assert summary.leakage["exact_within_split"] == 0


def test_files_outside_the_layout_are_rejected(tmp_path):
    source = official(tmp_path / "s")
    write(source, ["train/OTHER/a.jpeg", "extra/NORMAL/b.jpeg", "c.jpeg"], first_seed=700)
    run(source, tmp_path / "d")
    reasons = {r["file"]: r["reason"] for r in read_lines(tmp_path / "d/rejects.jsonl")}
    assert reasons == {
        "train/OTHER/a.jpeg": "unknown_class",
        "extra/NORMAL/b.jpeg": "outside_layout",
        "c.jpeg": "unknown_class",
    }


def _manifest(path: Path, lines: list[dict[str, str]]) -> Path:
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(lines[0]))
        writer.writeheader()
        writer.writerows(lines)
    return path


def test_manifest_with_patients_and_splits(tmp_path):
    source = write(tmp_path / "s", [f"img/{n}.jpeg" for n in range(6)])
    splits = ["train", "Training", "val", "test", "test", "val"]
    lines = [
        {"Path": f"img/{n}.jpeg", "label": "virus" if n % 2 else "NORMAL", "patient": f"p{n}"}
        | {"split": splits[n]}
        for n in range(5)
    ]
    lines[1]["patient"] = ""
    lines.append({"Path": "img/gone.jpeg", "label": "virus", "patient": "", "split": "val"})
    manifest = _manifest(tmp_path / "m.csv", lines)
    summary = run(source, tmp_path / "d", manifest=manifest)
    assert (summary.layout, summary.policy) == ("manifest", "given")
    assert (summary.found, summary.written) == (7, 5)
    assert summary.reasons == {"missing": 1}
    assert summary.skipped == {"not in the manifest": 1}
    got = {
        r["filename"]: (r["split"], r["patient_id"], r["pathogen"]) for r in rows(tmp_path / "d")
    }
    assert got["img/0.jpeg"] == ("train", "p0", "normal")
    assert got["img/1.jpeg"] == ("train", "image:img/1.jpeg", "virus")
    assert got["img/4.jpeg"] == ("test", "p4", "normal")


@pytest.mark.parametrize(
    "column, options, expected",
    [
        ("source", {}, ["a", "b", "IM"]),
        ("Hospital", {"source_column": "hospital"}, ["a", "b", "IM"]),
        ("hospital", {}, ["IM", "IM", "IM"]),
    ],
)
def test_a_column_of_the_manifest_is_the_source(tmp_path, column, options, expected):
    names = [f"IM-000{n}-0001.jpeg" for n in range(3)]
    source = write(tmp_path / "s", names)
    lines = [
        {"path": name, "label": "normal", "split": "train", column: value}
        for name, value in zip(names, ["a", "b", ""], strict=True)
    ]
    run(source, tmp_path / "d", manifest=_manifest(tmp_path / "m.csv", lines), **options)
    sources = {r["filename"]: r["source"] for r in rows(tmp_path / "d")}
    assert [sources[name] for name in names] == expected


def test_phantoms_with_another_source_stay_synthetic(tmp_path):
    source = write(tmp_path / "s", ["p/synthetic-person1_virus_1.jpeg", "other.jpeg"])
    lines = [
        {"path": path, "label": "virus", "split": "train", "source": "hospital"}
        for path in ("p/synthetic-person1_virus_1.jpeg", "other.jpeg")
    ]
    assert run(source, tmp_path / "d", manifest=_manifest(tmp_path / "m.csv", lines)).synthetic


def test_missing_source_column(tmp_path):
    source = write(tmp_path / "s", ["a.jpeg"])
    manifest = _manifest(tmp_path / "m.csv", [{"path": "a.jpeg", "label": "normal"}])
    with pytest.raises(
        PneumoError, match=r"no column 'year' \(source_column\); it has label, path"
    ):
        run(source, tmp_path / "d", manifest=manifest, source_column="year")


def test_manifest_without_splits_is_split_by_patient(tmp_path):
    source = write(tmp_path / "s", [f"{n}.jpeg" for n in range(30)])
    lines = [{"path": f"{n}.jpeg", "label": "normal", "patient": f"p{n // 2}"} for n in range(30)]
    summary = run(source, tmp_path / "d", manifest=_manifest(tmp_path / "m.csv", lines))
    assert summary.policy == "patient"
    assert summary.leakage["patients_in_two_splits"] == 0
    assert sum(summary.patients.values()) == 15


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([{"file": "a", "label": "normal"}], "needs the columns path and label"),
        (
            [{"path": "0.jpeg", "label": label} for label in ("normal", "virus")],
            "lines 2 and 3 name 0.jpeg and differ",
        ),
        ([{"path": "", "label": "normal"}], "line 2: the path is empty"),
        ([{"path": "../x.jpeg", "label": "normal"}], "is outside of"),
        ([{"path": "0.jpeg", "label": "normal", "split": "dev"}], "split 'dev'"),
    ],
)
def test_unusable_manifests(tmp_path, lines, message):
    source = write(tmp_path / "s", ["0.jpeg"])
    with pytest.raises(PneumoError, match=message):
        run(source, tmp_path / "d", manifest=_manifest(tmp_path / "m.csv", lines))


def test_unknown_label_in_a_manifest_is_rejected(tmp_path):
    source = write(tmp_path / "s", ["0.jpeg", "1.jpeg"])
    lines = [{"path": "0.jpeg", "label": "covid"}, {"path": "1.jpeg", "label": "normal"}]
    summary = run(source, tmp_path / "d", manifest=_manifest(tmp_path / "m.csv", lines))
    assert summary.reasons == {"unknown_class": 1}
