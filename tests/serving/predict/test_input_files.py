import io
import os
import tempfile
from pathlib import Path

import hypothesis
import pytest
from hypothesis import strategies as st

from core.ingest.catalog.database import Catalog
from core.ingest.scan import scan
from schema.errors import PneumoError
from serving.predict.input_files import LeftOut, check_paths, read_paths, stream_files
from tests.core.ingest.trees import put

DICOM = bytes(128) + b"DICM"


def test_a_folder_is_walked_in_order_of_name(tmp_path: Path) -> None:
    for name in ("b.png", "a/2.JPG", "a/1.jpeg", "a.png", "c/d/e.dcm", "notes.txt", "c/x.gif"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "1.2.840.10008").write_bytes(DICOM)
    (tmp_path / "IM0001").write_bytes(DICOM)
    (tmp_path / "README").write_bytes(b"DICM")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "z.png").symlink_to(tmp_path / "b.png")
    found = [str(path.relative_to(tmp_path)) for path in stream_files([tmp_path])]
    assert found == [
        "1.2.840.10008",
        "IM0001",
        "a.png",
        "b.png",
        "z.png",
        "a/1.jpeg",
        "a/2.JPG",
        "c/x.gif",
        "c/d/e.dcm",
    ]
    given = list(stream_files([tmp_path / "notes.txt", tmp_path / "a"]))
    assert [path.name for path in given] == ["notes.txt", "1.jpeg", "2.JPG"]


def test_wrong_paths_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(PneumoError, match="does not exist"):
        check_paths([tmp_path / "x.png"])
    with pytest.raises(PneumoError, match="contains no"):
        check_paths([tmp_path])
    (tmp_path / "notes.txt").touch()
    with pytest.raises(PneumoError, match=r"contains no .* \(1 files skipped: \*.txt 1\)"):
        check_paths([tmp_path])
    (tmp_path / "a.png").touch()
    check_paths([tmp_path / "x.png", tmp_path / "a.png"])  # the missing one is rejected later
    check_paths([])  # names from standard input


FOLDERS = ["", "a", "b/c", "__MACOSX/a", ".cache", "@eaDir"]
NAMES = ["1.jfif", "2.JPE", "3.png", "4.dcm", "5.heic", "6.webp", "IM1", "._1.jpg", ".DS_Store"]
NAMES += ["7.txt", "Thumbs.db", "8.IMA", ".hidden.png"]
LINKS = {"loop": ".", "up": "..", "l.jpg": "3.png", "gone.png": "nothing", "again": "b"}


@hypothesis.settings(max_examples=100, deadline=None)
@hypothesis.given(
    files=st.sets(st.tuples(st.sampled_from(FOLDERS), st.sampled_from(NAMES)), min_size=1),
    links=st.sets(st.tuples(st.sampled_from(FOLDERS[:3]), st.sampled_from([*LINKS]))),
    pipe=st.booleans(),
)
def test_predict_and_ingest_count_the_same(
    files: set[tuple[str, str]], links: set[tuple[str, str]], pipe: bool
) -> None:
    """Each entry of a tree is yielded, skipped or rejected once, by both commands."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / ".hidden [root]"
        for folder, name in files:
            put(root / folder / name, DICOM if name == "IM1" else b"x")
        for folder, name in links:
            (root / folder).mkdir(exist_ok=True, parents=True)
            (root / folder / name).symlink_to(LINKS[name])
        if pipe:
            os.mkfifo(root / "pipe.png")
        catalog = Catalog(Path(scratch) / "catalog")
        catalog.files.add_entries(scan(root))
        left = LeftOut()
        yielded = list(stream_files([root], left))
        assert len(yielded) == len(set(yielded)) == catalog.files.count_listed()
        assert left.skipped == catalog.files.skipped
        rejects = {(str(root / row["file"]), row["reason"]) for row in catalog.files.rejects()}
        assert {(str(path), why.split(":")[0]) for path, why in left.rejected} == rejects
        total = len(yielded) + left.skipped.total() + len(left.rejected)
        assert (
            total
            == catalog.files.found
            == sum(len(names) for *_, names in os.walk(root))
            + (sum((root / folder / name).is_dir() for folder, name in links))
        )
        assert all(path.is_file() for path in yielded)
        catalog.close()


def test_names_from_a_stream() -> None:
    strange = os.fsencode("\udcff\udcfe.png")
    lines = io.BytesIO(b"a b.png\r\n\n" + strange + b"\nlast.png")
    names = list(read_paths(lines))
    assert names == [Path("a b.png"), Path(os.fsdecode(strange)), Path("last.png")]
