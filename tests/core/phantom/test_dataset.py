import csv
import hashlib
from pathlib import Path

import pytest
from PIL import Image

from core.ingest.file_names import parse_name
from core.phantom.dataset import PhantomSummary, write_phantoms
from core.phantom.layouts import COMMENT
from schema.errors import PneumoError
from schema.features import SPLITS
from tests.core.phantom.parameters import SEED, SIZE, N


def digests(dest: Path) -> dict[str, str]:
    """Name of the file (without its split) -> digest."""
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in dest.rglob("*.jpeg")}


def label_of(path: Path) -> str:
    return path.parent.name if "person" not in path.name else path.stem.split("_")[1]


def test_layout(phantoms: PhantomSummary) -> None:
    root = phantoms.dest / "chest_xray"
    for split in SPLITS:
        assert {p.name for p in (root / split).iterdir()} == {"NORMAL", "PNEUMONIA"}
        labels = {label_of(p) for p in (root / split).rglob("*.jpeg")}
        assert labels == {"NORMAL", "bacteria", "virus"}
    assert len(list(root.rglob("*.jpeg"))) == N == phantoms.images
    for folder in (phantoms.dest, root):
        text = (folder / "SYNTHETIC.txt").read_text()
        assert "SYNTHETIC" in text
        assert f"seed: {SEED}" in text
    assert not [p for p in phantoms.dest.parent.iterdir() if p != phantoms.dest]


def test_splits_share_no_patient(phantoms: PhantomSummary) -> None:
    seen: dict[str, set[str]] = {split: set() for split in SPLITS}
    for path in phantoms.dest.rglob("*.jpeg"):
        seen[path.parent.parent.name].add(parse_name(path.name).patient)
    assert not seen["train"] & seen["test"]
    assert not seen["train"] & seen["val"]
    assert not seen["val"] & seen["test"]
    assert sum(map(len, seen.values())) == phantoms.patients < N


def test_files_are_gray_jpegs_marked_synthetic(phantoms: PhantomSummary) -> None:
    for path in phantoms.dest.rglob("*.jpeg"):
        with Image.open(path) as image:
            assert image.format == "JPEG"
            assert image.mode == "L"
            assert image.width == SIZE
            assert image.info["comment"] == COMMENT
            assert b"SYNTHETIC" in COMMENT
        assert parse_name(path.name).source == "synthetic"


def test_boxes_csv(phantoms: PhantomSummary) -> None:
    with (phantoms.dest / "boxes.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert list(rows[0]) == ["filename", "label", "xmin", "ymin", "xmax", "ymax"]
    assert len(rows) == phantoms.boxes > 0
    boxed = {row["filename"] for row in rows}
    root = phantoms.dest / "chest_xray"
    bacterial = {str(p.relative_to(root)) for p in root.rglob("*_bacteria_*.jpeg")}
    assert boxed == bacterial
    for row in rows:
        with Image.open(root / row["filename"]) as image:
            assert 0 <= int(row["xmin"]) < int(row["xmax"]) <= image.width
            assert 0 <= int(row["ymin"]) < int(row["ymax"]) <= image.height
        assert row["label"] == "bacteria"


@pytest.mark.parametrize(("n", "workers"), [(N, 2), (17, 1)])
def test_image_depends_on_seed_and_index_only(
    phantoms: PhantomSummary, tmp_path: Path, n: int, workers: int
) -> None:
    other = write_phantoms(tmp_path / "again", n, SEED, size=SIZE, workers=workers)
    expected = digests(phantoms.dest)
    actual = digests(other.dest)
    assert len(actual) == n
    assert {name: expected[name] for name in actual} == actual
    if n == N:
        text = (phantoms.dest / "boxes.csv").read_bytes()
        assert text == (other.dest / "boxes.csv").read_bytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 0}, "n is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"size": 8}, "size is 8"),
        ({"size": 10**6}, "size is 1000000"),
        ({"jpeg_quality": 0}, "jpeg_quality is 0"),
        ({"min_severity": -0.1}, r"min_severity is -0\.1"),
        ({"min_severity": 1.5}, r"min_severity is 1\.5"),
        ({"min_severity": float("nan")}, "min_severity is nan"),
        ({"workers": 0}, "workers is 0"),
    ],
)
def test_invalid_parameters(tmp_path: Path, options: dict, message: str) -> None:
    with pytest.raises(PneumoError, match=message) as caught:
        write_phantoms(tmp_path / "x", **{"n": 2, "seed": 0, "size": 64, **options})
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_severe_findings_change_images_with_findings_only(tmp_path: Path) -> None:
    mild = digests(write_phantoms(tmp_path / "0", 24, 0, size=64).dest)
    severe = write_phantoms(tmp_path / "1", 24, 0, size=64, min_severity=1.0)
    changed = {name for name, digest in digests(severe.dest).items() if mild[name] != digest}
    assert changed == {name for name in mild if "person" in name}
    assert "min_severity: 1\n" in (severe.dest / "SYNTHETIC.txt").read_text()


def test_same_parameters_are_reused_and_others_need_overwrite(tmp_path: Path) -> None:
    first = write_phantoms(tmp_path / "set", 4, 0, size=64)
    inode = first.dest.stat().st_ino
    again = write_phantoms(tmp_path / "set", 4, 0, size=64)
    assert (first.reused, again.reused) == (False, True)
    assert (again.boxes, again.splits) == (first.boxes, first.splits)
    assert first.dest.stat().st_ino == inode
    with pytest.raises(PneumoError, match="--overwrite"):
        write_phantoms(tmp_path / "set", 5, 0, size=64)
    other = write_phantoms(tmp_path / "set", 4, 1, size=64, overwrite=True)
    before = digests(write_phantoms(tmp_path / "0", 4, 0, size=64).dest)
    assert not set(digests(other.dest).values()) & set(before.values())
    next(other.dest.rglob("*.jpeg")).unlink()
    with pytest.raises(PneumoError, match="3 of 4 images"):
        write_phantoms(tmp_path / "set", 4, 1, size=64)
    assert {p.name for p in tmp_path.iterdir()} == {"set", "0"}


@pytest.mark.parametrize("overwrite", [False, True])
def test_other_files_are_never_touched(tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years")
    (tmp_path / "file").write_text("x")
    for name, message in (("mine", "not a synthetic data set"), ("file", "is a file")):
        with pytest.raises(PneumoError, match=message):
            write_phantoms(tmp_path / name, 2, 0, size=64, overwrite=overwrite)
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_interrupted_run_leaves_nothing(tmp_path: Path) -> None:
    calls: list[int] = []

    def stop(done: int, total: int) -> None:
        calls.append(done)
        if done >= 3:
            raise KeyboardInterrupt

    (tmp_path / ".set.partial").mkdir()  # of a run that was killed
    with pytest.raises(KeyboardInterrupt):
        write_phantoms(tmp_path / "set", 10, 0, size=64, progress=stop)
    assert not list(tmp_path.iterdir())
    assert calls == sorted(set(calls))
