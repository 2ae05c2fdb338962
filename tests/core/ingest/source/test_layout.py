import pytest

from core.ingest.options import IngestOptions
from core.ingest.source.layout import (
    FolderLabels,
    detect_layout,
    parents_of_roots,
    parse_folder,
    split_name,
)

CLASSES = IngestOptions(class_map={"Gesund": "normal"}).classes()


@pytest.mark.parametrize(
    ("folder", "root", "split", "pathogen", "inner"),
    [
        ("train/NORMAL", "", "train", "normal", "train/NORMAL"),
        ("chest_xray/train/NORMAL", "chest_xray", "train", "normal", "train/NORMAL"),
        ("a/a/Testing/pneumonia", "a/a", "test", "unknown", "Testing/pneumonia"),
        ("NORMAL", "", "", "normal", "NORMAL"),
        ("x/VIRUS/deep/er", "x", "", "virus", "VIRUS/deep/er"),
        ("valid/gesund/p1", "", "val", "normal", "valid/gesund/p1"),
        ("a/train/OTHER", "a", "train", "", "train/OTHER"),
        ("other", "", "", "", "other"),
        ("", "", "", "", ""),
    ],
)
def test_parse_folder(folder, root, split, pathogen, inner):
    parsed = FolderLabels(root, split, pathogen, inner)
    assert parse_folder(folder, CLASSES) == parsed


@pytest.mark.parametrize(
    ("folders", "layout"),
    [
        (["train/NORMAL", "NORMAL"], "split_class"),
        (["NORMAL", "other"], "class"),
        (["train/other", "x"], ""),
        ([], ""),
    ],
)
def test_detect_layout(folders, layout):
    assert detect_layout(parse_folder(folder, CLASSES) for folder in folders) == layout


@pytest.mark.parametrize(
    ("roots", "above"),
    [
        (["c", "c/c"], {"c/c": "c"}),
        (["", "c", "c/c"], {"c": "", "c/c": ""}),
        (["a", "b"], {}),
        (["a", "ab"], {}),
        ([], {}),
    ],
)
def test_parents_of_roots(roots, above):
    assert parents_of_roots(roots) == above


@pytest.mark.parametrize(
    ("name", "split"), [("TRAIN", "train"), ("Validation", "val"), ("tests", ""), ("", "")]
)
def test_split_name(name, split):
    assert split_name(name) == split
