import os
from collections import Counter

import pytest

from core.ingest.scan import SourceEntry, fingerprint, scan
from tests.core.ingest.trees import put


def _listing(root):
    return {entry.path: (entry.kind, entry.reason) for entry in scan(root)}


@pytest.mark.parametrize(
    ("path", "kind", "reason"),
    [
        ("a.jpeg", "file", ""),
        ("a.JPG", "file", ""),
        ("a.png", "file", ""),
        ("a.JFIF", "file", ""),
        ("a.jpe", "file", ""),
        ("a.Dcm", "file", ""),
        ("a.gif", "file", ""),
        ("a.HEIC", "file", ""),
        ("a.webp", "file", ""),
        ("a.tif", "file", ""),
        ("a.jxl", "file", ""),
        ("@eaDir/a.jpeg/SYNOPHOTO_THUMB_M.jpg", "skip", "@eaDir"),
        ("$RECYCLE.BIN/a.jpeg", "skip", "$RECYCLE.BIN"),
        (".DS_Store", "skip", ".DS_Store"),
        ("x/Thumbs.db", "skip", "Thumbs.db"),
        ("x/THUMBS.DB", "skip", "Thumbs.db"),
        ("desktop.ini", "skip", "desktop.ini"),
        ("._a.jpeg", "skip", "._*"),
        (".a.jpeg", "skip", "hidden"),
        ("__MACOSX/train/a.jpeg", "skip", "__MACOSX"),
        ("__MACOSX/._a.jpeg", "skip", "__MACOSX"),
        (".git/a/b.jpeg", "skip", "hidden"),
        ("SYNTHETIC.txt", "skip", "*.txt"),
        ("README", "skip", "(no suffix)"),
        ("a.jpeg.zip", "skip", "*.zip"),
    ],
)
def test_kind_of_entry(tmp_path, path, kind, reason):
    put(tmp_path / path, b"x")
    assert _listing(tmp_path) == {path: (kind, reason)}


@pytest.mark.parametrize("name", ["IM0001", "1.2.840.10008", "I0001.IMA", "a.dic"])
def test_dicom_of_unknown_suffix(tmp_path, name):
    put(tmp_path / name, bytes(128) + b"DICM")
    assert _listing(tmp_path) == {name: ("file", "")}
    put(tmp_path / name, bytes(100))
    assert _listing(tmp_path)[name][0] == "skip"


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every folder")
def test_unreadable_folder(tmp_path):
    put(tmp_path / "a/1.jpeg", b"x")
    (tmp_path / "a").chmod(0)
    try:
        assert _listing(tmp_path) == {"a": ("reject", "unreadable")}
    finally:
        (tmp_path / "a").chmod(0o700)


def test_links(tmp_path):
    put(tmp_path / "source/a/1.jpeg", b"x")
    put(tmp_path / "outside/2.jpeg", b"y")
    source = tmp_path / "source"
    (source / "a/loop").symlink_to(source)
    (source / "up").symlink_to(tmp_path)
    (source / "twin").symlink_to(source / "a")
    (source / "other").symlink_to(tmp_path / "outside")
    (source / "again").symlink_to(tmp_path / "outside")
    (source / "file.jpeg").symlink_to(source / "a/1.jpeg")
    (source / "broken.jpeg").symlink_to(source / "none")
    (source / "broken.txt").symlink_to(source / "none")
    (tmp_path / "outside/back").symlink_to(source)
    link = ("skip", "link to a folder that is read anyway")
    assert _listing(source) == {
        "a/1.jpeg": ("file", ""),
        "file.jpeg": ("file", ""),
        "broken.jpeg": ("reject", "broken_link"),
        "broken.txt": ("skip", "*.txt"),
        "a/loop": link,
        "up": link,
        "twin": link,
        "again/2.jpeg": ("file", ""),
        "again/back": link,
        "other": link,
    }


def test_empty_folder(tmp_path):
    assert list(scan(tmp_path)) == []


def test_folder_with_an_image_suffix(tmp_path):
    put(tmp_path / "a.jpeg/b.jpeg", b"x")
    assert _listing(tmp_path) == {"a.jpeg/b.jpeg": ("file", "")}


def test_fingerprint_does_not_depend_on_the_order():
    one, two, three = (SourceEntry(name, "file", size=1, mtime_ns=2) for name in "abc")
    assert fingerprint([one, two]) == fingerprint([two, one])
    changed = [
        [one],
        [one, two, two],
        [one, three],
        [one, SourceEntry("b", "file", size=3, mtime_ns=2)],
        [one, SourceEntry("b", "file", size=1, mtime_ns=3)],
        [],
    ]
    digests = Counter(fingerprint(entries) for entries in [*changed, [one, two]])
    assert set(digests.values()) == {1}
    assert fingerprint([one], "more") != fingerprint([one])
