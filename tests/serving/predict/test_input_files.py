import io
import os
from pathlib import Path

import pytest

from schema.errors import PneumoError
from serving.predict.input_files import check_paths, read_paths, stream_files, walk_images

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
    found = [str(path.relative_to(tmp_path)) for path in walk_images(tmp_path)]
    assert found == [
        "1.2.840.10008",
        "IM0001",
        "a/1.jpeg",
        "a/2.JPG",
        "a.png",
        "b.png",
        "c/d/e.dcm",
        "z.png",
    ]
    given = list(stream_files([tmp_path / "notes.txt", tmp_path / "a"]))
    assert [path.name for path in given] == ["notes.txt", "1.jpeg", "2.JPG"]


def test_wrong_paths_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(PneumoError, match="does not exist"):
        check_paths([tmp_path / "x.png"])
    with pytest.raises(PneumoError, match="contains no"):
        check_paths([tmp_path])
    (tmp_path / "a.png").touch()
    check_paths([tmp_path / "x.png", tmp_path / "a.png"])  # the missing one is rejected later
    check_paths([])  # names from standard input


def test_names_from_a_stream() -> None:
    strange = os.fsencode("\udcff\udcfe.png")
    lines = io.BytesIO(b"a b.png\r\n\n" + strange + b"\nlast.png")
    names = list(read_paths(lines))
    assert names == [Path("a b.png"), Path(os.fsdecode(strange)), Path("last.png")]
