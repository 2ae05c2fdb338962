"""Derives split and class of a folder from its path."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from core.ingest.names.folding import fold, fold_label
from schema.errors import closest

_SPLIT_NAMES: Final = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}


@dataclass(frozen=True, slots=True)
class FolderLabels:
    """Labels that a folder gives its files.

    Attributes:
      root: folder that contains the splits or classes ("" is the source itself).
      split: train, val, test, or "" without a split folder.
      pathogen: of the class folder, or "" without one.
      inner: path below the root.
    """

    root: str
    split: str
    pathogen: str
    inner: str


def split_name(name: str) -> str:
    """Returns train, val or test for their usual spellings, otherwise ""."""
    return _SPLIT_NAMES.get(fold(name), "")


def parse_folder(folder: str, classes: Mapping[str, str]) -> FolderLabels:
    """Parses the path of a folder; the leftmost class folder decides.

    Args:
      folder: path relative to the source, "/" between the parts.
      classes: folded name of a class folder -> pathogen.
    """
    parts = folder.split("/") if folder else []
    for i, part in enumerate(parts):
        pathogen = classes.get(fold_label(part))
        if pathogen is None:
            continue
        split = split_name(parts[i - 1]) if i else ""
        start = i - 1 if split else i
        return FolderLabels("/".join(parts[:start]), split, pathogen, "/".join(parts[start:]))
    # Without a class folder, a split folder still defines the root.
    for i, part in enumerate(parts):
        if split := split_name(part):
            return FolderLabels("/".join(parts[:i]), split, "", "/".join(parts[i:]))
    return FolderLabels("", "", "", folder)


def detect_layout(folders: Iterable[FolderLabels]) -> Literal["split_class", "class", ""]:
    """Returns the layout of the folders with image files; "" without any class folder."""
    layout: Literal["split_class", "class", ""] = ""
    for folder in folders:
        if folder.pathogen and folder.split:
            return "split_class"
        if folder.pathogen:
            layout = "class"
    return layout


def parents_of_roots(roots: Iterable[str]) -> dict[str, str]:
    """Returns nested root -> the shallowest root above it.

    The Kaggle archive contains its data twice: chest_xray/train and chest_xray/chest_xray/train.
    Files of a nested root that the upper one contains too are copies.
    """
    out: dict[str, str] = {}
    all_roots = set(roots)
    for root in all_roots:
        parts = root.split("/") if root else []
        for i in range(len(parts)):
            above = "/".join(parts[:i])
            if above in all_roots:
                out[root] = above
                break
    return out


def no_class(kind: str, name: str, classes: Iterable[str]) -> str:
    """Returns the reason for rejecting files of a folder or a label that is no class."""
    near = closest(name, (known.upper() for known in classes))
    question = f"did you mean {near}? " if near else ""
    return f"{kind} {name!r} is no class; {question}--class-map can name it"
