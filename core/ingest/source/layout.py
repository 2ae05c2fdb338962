"""Finds out what the folders of a source mean: root of the data, split, class. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

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
class Place:
    """What one folder means.

    Attributes:
      root: folder that holds the layout ("" is the source itself).
      split: train, val, test, or "" where the path names none.
      pathogen: what the class folder stands for, or "" where none was found.
      inner: path below the root.
    """

    root: str
    split: str
    pathogen: str
    inner: str


def split_name(name: str) -> str:
    """train, val or test for the usual spellings of them, otherwise ""."""
    return _SPLIT_NAMES.get(name.casefold(), "")


def place_of(folder: str, classes: Mapping[str, str]) -> Place:
    """Reads a folder's path from the left: the first class folder decides.

    Args:
      folder: path relative to the source, "/" between the parts.
      classes: casefolded name of a class folder -> pathogen.
    """
    parts = folder.split("/") if folder else []
    for i, part in enumerate(parts):
        pathogen = classes.get(part.casefold())
        if pathogen is None:
            continue
        split = split_name(parts[i - 1]) if i else ""
        at = i - 1 if split else i
        return Place("/".join(parts[:at]), split, pathogen, "/".join(parts[at:]))
    # No class folder: what stands below a split folder still belongs to a root.
    for i, part in enumerate(parts):
        if split := split_name(part):
            return Place("/".join(parts[:i]), split, "", "/".join(parts[i:]))
    return Place("", "", "", folder)


def detect(places: Iterable[Place]) -> Literal["split_class", "class", ""]:
    """Layout of the folders that hold image files; "" where there is no class folder at all."""
    found: Literal["split_class", "class", ""] = ""
    for place in places:
        if place.pathogen and place.split:
            return "split_class"
        if place.pathogen:
            found = "class"
    return found


def parents_of_roots(roots: Iterable[str]) -> dict[str, str]:
    """Nested root -> the shallowest root above it.

    The well-known archive holds its data twice: chest_xray/train and chest_xray/chest_xray/train.
    Files of a nested root that stand in the upper one too are copies.
    """
    out: dict[str, str] = {}
    known = set(roots)
    for root in known:
        parts = root.split("/") if root else []
        for i in range(len(parts)):
            above = "/".join(parts[:i])
            if above in known:
                out[root] = above
                break
    return out
