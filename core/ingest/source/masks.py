"""Recognizes masks beside images by their folders and names.

Public data sets deliver masks under the names of their images or under names derived from them:
`COVID/{images,masks}` (COVID-19 Radiography Database), `Lung Segmentation/{CXR_png,masks}` with
`CHNCXR_0001_0_mask.png` (Shenzhen), `ManualMask/leftMask` (Montgomery County), `infection masks`
(COVID-QU-Ex), `Ground-truths/mask_covid_1.png` (QaTa-COV19).
"""

import re
from typing import Final

_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_MASK: Final = frozenset({"mask", "masks", "lungmask", "lungmasks"})
_KINDS: Final = frozenset(
    {
        *("lung", "lungs", "heart", "infection", "left", "right", "manual", "binary"),
        *("segmentation", "seg", "png", "jpg", "images", "gt", "ground", "truth"),
    }
)
_FOLDERS: Final = frozenset({"gt", "groundtruth", "groundtruths", "segmentations"})
_LAST: Final = _MASK | {"seg", "segmentation", "groundtruth", "gt"}
_WITHOUT: Final = frozenset({"no", "non", "without"})


def is_mask(path: str) -> bool:
    """Returns whether a path is that of a mask.

    A folder counts only if all its words describe masks: `Lung Segmentation` and `masks and images`
    contain radiographs.

    Args:
      path: relative to the source, "/" between the parts.
    """
    *folders, name = path.split("/")
    return any(map(_is_mask_folder, folders)) or _is_mask_name(name.rsplit(".", 1)[0])


def _words(name: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(name)]


def _is_mask_folder(name: str) -> bool:
    words = _words(name)
    return "".join(words) in _FOLDERS or (
        not _MASK.isdisjoint(words) and {*words} <= _MASK | _KINDS
    )


def _is_mask_name(stem: str) -> bool:
    words = _words(stem)
    if not words or not _WITHOUT.isdisjoint(words):
        return False
    return words[0] in _MASK or words[-1] in _LAST
