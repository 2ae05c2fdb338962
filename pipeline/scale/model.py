"""The cost model: for each step a few coefficients, fitted, kept as JSON."""

import importlib.resources
import json
import math
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.scale.load import TERMS, Load
from schema.errors import PneumoError

SECONDS: Final = "seconds"  # of one core
MEMORY: Final = "memory_mib"  # highest resident memory of the process
STORED: Final = "stored_bytes"  # what the step leaves on disk
QUANTITIES: Final = (SECONDS, MEMORY, STORED)

# Step -> quantity -> terms that it may have. What is no part of a step's work is not offered to the
# fit, so that noise cannot speak for it; what stays below a megabyte on disk is left out.
SHAPE: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "ingest check": {
        SECONDS: ("fixed", "image", "megapixel"),
        MEMORY: ("fixed", "image", "one_megapixel"),
    },
    "ingest plan": {SECONDS: ("fixed", "image", "sort", "pairs"), MEMORY: ("fixed", "image")},
    "ingest write": {SECONDS: ("fixed", "image", "mib"), STORED: ("image", "mib")},
    "ImportExampleGen": {
        SECONDS: ("fixed", "image", "mib"),
        MEMORY: ("fixed", "image", "mib"),
        STORED: ("image", "mib"),
    },
    "StatisticsGen": {
        SECONDS: ("fixed", "image", "megapixel", "mib"),
        MEMORY: ("fixed", "image", "mib"),
    },
    "Transform": {
        SECONDS: ("fixed", "image", "megapixel", "out_megapixel"),
        MEMORY: ("fixed", "image", "mib", "out_megapixel"),
        STORED: ("fixed", "image", "out_megapixel"),
    },
    # Building, tracing and exporting a network costs with the trunk, not with the images.
    "Embedder": {
        SECONDS: ("fixed", "one_gmac", "image", "gmac"),
        MEMORY: ("fixed", "image", "one_gmac"),
        STORED: ("fixed", "image", "feature_kb"),
    },
    "Trainer": {
        SECONDS: ("fixed", "one_gmac", "pass", "kilofeature"),
        MEMORY: ("fixed", "one_gmac", "image", "kilofeature_one"),
        STORED: ("fixed", "one_gmac"),
    },
    "Evaluator": {
        SECONDS: ("fixed", "one_gmac", "image", "megapixel", "gmac"),
        MEMORY: ("fixed", "one_gmac", "image", "mib"),
    },
    "Scorer": {
        SECONDS: ("fixed", "one_gmac", "image", "megapixel", "gmac"),
        MEMORY: ("fixed", "one_gmac", "image"),
        STORED: ("image",),
    },
}
STEPS: Final = tuple(SHAPE)


class Row(BaseModel):
    """One measurement of one step.

    Attributes:
      step: of STEPS.
      images: that it handled.
      megapixels: see Load, as are the next five.
      kib: mean size of a file.
      out_megapixels: of the model's input.
      gmac: of the trunk.
      channels: of the trunk's output.
      passes: for each image.
      feature_bytes: of a stored feature.
      seconds: of processor time, user and system, all threads.
      memory_mib: peak of resident memory, MiB.
      stored_bytes: left on disk.
      held: kept from a first fit, to check it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: str
    images: float = Field(gt=0)
    megapixels: float = 0.0
    kib: float = 0.0
    out_megapixels: float = 0.0
    gmac: float = 0.0
    channels: float = 0.0
    passes: float = 1.0
    feature_bytes: float = 4.0
    seconds: float | None = None
    memory_mib: float | None = None
    stored_bytes: float | None = None
    held: bool = False

    @property
    def load(self) -> Load:
        """What the step had to do."""
        return Load(
            self.images, self.megapixels, self.kib, self.out_megapixels, self.gmac, self.channels,
            self.passes, self.feature_bytes,
        )  # fmt: skip


class Check(BaseModel):
    """A fit held against a measurement that it did not see.

    Attributes:
      step: of STEPS.
      quantity: of QUANTITIES.
      images: of the measurement.
      predicted: by the model.
      measured: on the machine.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: str
    quantity: str
    images: float
    predicted: float
    measured: float

    @property
    def ratio(self) -> float:
        """Predicted over measured."""
        return self.predicted / self.measured if self.measured else math.nan


class CostModel(BaseModel):
    """Coefficients of every step, where they were measured, and how far they are off.

    Attributes:
      measured: facts of the machine and the software.
      largest: step -> images of its largest measurement.
      coefficients: step -> quantity -> term -> coefficient, 0 or more.
      spread: step -> quantity -> largest |predicted / measured - 1| over all rows.
      checks: of a fit without them, against the largest measurements.
      trunks: name -> (side in pixels, billions of multiplications at that side, channels).
      kib_per_megapixel: size of a JPEG file, from what was measured.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    measured: dict[str, str]
    largest: dict[str, float]
    coefficients: dict[str, dict[str, dict[str, float]]]
    spread: dict[str, dict[str, float]]
    checks: list[Check]
    trunks: dict[str, tuple[int, float, int]]
    kib_per_megapixel: float

    def predict(self, step: str, quantity: str, load: Load) -> float:
        """A quantity of a step; 0 where the step has none of it."""
        terms = self.coefficients.get(step, {}).get(quantity, {})
        return sum(value * TERMS[term](load) for term, value in terms.items())


def shipped_model() -> CostModel:
    """The model that comes with the package."""
    return read_model(Path(str(importlib.resources.files("pipeline") / "scale" / "model.json")))


def read_model(path: Path) -> CostModel:
    """Reads a model.

    Raises:
      PneumoError: no such file, or it holds something else.
    """
    try:
        return CostModel.model_validate(json.loads(path.read_text()))
    except (OSError, ValueError, ValidationError) as error:
        what = " ".join(str(error).split())[:200]
        raise PneumoError(
            f"cost model {path} can't be read ({what}); make one with python -m "
            "benchmarks.scale, or leave out --model"
        ) from None
