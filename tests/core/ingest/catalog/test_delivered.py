"""Counts of the source as delivered, against a model that counts while it writes the files."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.ingest.catalog.database import Catalog
from core.ingest.file_record import FileRecord
from core.ingest.scan import SourceEntry
from schema import features as f
from tests.core.ingest.trees import jpeg, official, put, run

FILES = st.lists(
    st.tuples(
        st.sampled_from(("train", "val", "test", "")),
        st.sampled_from(("normal", "bacteria", "virus", "unknown", "other", None)),
        st.sampled_from(("usable", "rejected", "rejected late")),
        st.integers(0, 5),  # pixels
    ),
    max_size=30,
)


@settings(max_examples=100)
@given(FILES)
def test_every_labeled_file_is_counted_once(files: list[tuple[str, str | None, str, int]]) -> None:
    catalog = Catalog(Path(":memory:"))
    names = [f"{i}.png" for i in range(len(files))]
    catalog.files.add_entries(SourceEntry(name, "file") for name in names)
    found: Counter[tuple[str, str]] = Counter()
    rejected: Counter[tuple[str, str]] = Counter()
    duplicates: Counter[tuple[str, str]] = Counter()
    pixels = Counter(p for _, pathogen, state, p in files if pathogen and state == "usable")
    for name, (split, pathogen, state, pixel) in zip(names, files, strict=True):
        if pathogen is None:
            catalog.files.reject(name, "unlabeled", "")
            continue
        catalog.files.label(name, pathogen, official_split=split)
        values = {"pixel_hash": str(pixel), "perceptual_hash": "00", "stats": {f.STATS_STD: 9.0}}
        record = FileRecord(path=name, size=1, mtime_ns=1, **values)  # type: ignore[arg-type]
        if state == "rejected":
            catalog.files.reject(name, "truncated", "")
        else:
            catalog.files.add_check(record, name)
        if state == "rejected late":
            catalog.files.reject_late(name, "changed", "")
        key = (split, pathogen)
        found[key] += 1
        rejected[key] += state != "usable"
        duplicates[key] += state == "usable" and pixels[pixel] > 1
    expected: dict[str, dict[str, dict[str, int]]] = {}
    for split, pathogen in sorted(found):
        key = (split, pathogen)
        row = {"found": found[key], "rejected": rejected[key], "duplicates": duplicates[key]}
        expected.setdefault(split, {})[pathogen] = row
    assert catalog.delivered.read() == expected
    catalog.close()


def test_counts_of_a_source(tmp_path: Path) -> None:
    source = official(tmp_path / "source")
    copied = (source / "train/NORMAL/IM-0001-0001.jpeg").read_bytes()
    put(source / "train/NORMAL/IM-0001-0009.jpeg", copied)
    put(source / "test/NORMAL/IM-0999-0001.jpeg", jpeg(999)[:200])
    put(source / "val/notes.txt", b"text")
    summary = run(source, tmp_path / "dest")
    assert summary.delivered["train"]["normal"] == {"found": 25, "rejected": 0, "duplicates": 2}
    assert summary.delivered["test"]["normal"] == {"found": 5, "rejected": 1, "duplicates": 0}
    assert summary.delivered["val"]["bacteria"] == {"found": 1, "rejected": 0, "duplicates": 0}
    broken = summary.model_copy(update={"written": 1, "rejected": summary.found - 1, "skipped": {}})
    with pytest.raises(RuntimeError, match="delivered"):
        broken.reconcile()
