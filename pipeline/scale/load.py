"""What a step has to do, as a few numbers, and the terms that its cost may have. Pure."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

# Chance that two images agree in a 16-bit band of their perceptual hashes is that of 16 bits which
# each have the rarer value with this chance; so it is for 5,232 real radiographs (0.66 % of pairs).
RARER: Final = 0.261
BANDS: Final = 16
WINDOW: Final = 512  # components.ingest.leakage


@dataclass(frozen=True)
class Load:
    """The work of one step.

    Attributes:
      images: it handles.
      megapixels: of one image as it is stored, mean.
      kib: of its file, mean.
      out_megapixels: of one image as the model sees it.
      gmac: billions of multiplications of the trunk for one image as the model sees it.
      channels: of the trunk's output.
      passes: forward passes for each image; epochs times members for the head.
      feature_bytes: of one stored feature, 4 or 2.
    """

    images: float
    megapixels: float = 0.0
    kib: float = 0.0
    out_megapixels: float = 0.0
    gmac: float = 0.0
    channels: float = 0.0
    passes: float = 1.0
    feature_bytes: float = 4.0

    def of(self, images: float) -> "Load":
        """The same for another number of images."""
        return replace(self, images=images)


def band_pairs(images: float) -> float:
    """Pairs of hashes that the search for near duplicates compares.

    Quadratic until the classes of a band are as full as the window, linear from there on.
    """
    pairs = 0.0
    for rare in range(BANDS + 1):
        share = (1 - RARER) ** (BANDS - rare) * RARER**rare
        followers = min(max(images - 1, 0.0) * share / 2, WINDOW)
        pairs += math.comb(BANDS, rare) * images * share * followers
    return BANDS * pairs


TERMS: Final[dict[str, Callable[[Load], float]]] = {
    "fixed": lambda _: 1.0,
    "image": lambda load: load.images,
    "sort": lambda load: load.images * math.log2(load.images + 1),
    "megapixel": lambda load: load.images * load.megapixels,
    "one_megapixel": lambda load: load.megapixels,
    "mib": lambda load: load.images * load.kib / 1024,
    "out_megapixel": lambda load: load.images * load.passes * load.out_megapixels,
    "gmac": lambda load: load.images * load.passes * load.gmac,
    # Weights and the activations of a batch, which do not grow with the images.
    "one_gmac": lambda load: load.gmac,
    "pass": lambda load: load.images * load.passes,
    # Features of the trunk, mean and maximum, that a pass of the head reads: thousands of them.
    "kilofeature": lambda load: load.images * load.passes * 2 * load.channels / 1000,
    "feature_kb": lambda load: (
        load.images * load.passes * 2 * load.channels * load.feature_bytes / 1000
    ),
    "kilofeature_one": lambda load: load.images * 2 * load.channels / 1000,
    "pairs": lambda load: band_pairs(load.images),
}
"""Name -> quantity of a load. A cost is a sum of terms, each with a coefficient of 0 or more."""
