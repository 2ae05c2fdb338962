"""What a phase minimises, where it writes, and the curves that it leaves."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import tensorflow as tf

# (targets [n, ...], outputs [n, ...]) -> float32 [n]
PerImage = Callable[["tf.Tensor", "tf.Tensor"], "tf.Tensor"]


@dataclass(frozen=True)
class Objective:
    """Loss and metrics; each gives a number for each image.

    Attributes:
      loss: what is minimised.
      validation_loss: by which the best epoch is chosen.
      metrics: name -> what else the curves show.
    """

    loss: PerImage
    validation_loss: PerImage
    metrics: Mapping[str, PerImage] = field(default_factory=dict)


@dataclass(frozen=True)
class OutputPaths:
    """Where one member of the ensemble writes while it trains.

    Attributes:
      checkpoints: folder, a path or a URI.
      logs: folder of TensorBoard logs.
    """

    checkpoints: Path | str
    logs: Path


@dataclass
class TrainingCurves:
    """One entry for each epoch.

    Attributes:
      values: `loss`, `val_loss`, `learning_rate`, and each metric under its name and as `val_...`.
      best_epoch: counted from 1; 0 before the first.
      earlier: seconds that killed processes spent on the epochs before this one resumed.
    """

    values: dict[str, list[float]] = field(default_factory=dict)
    best_epoch: int = 0
    earlier: float = field(default=0.0, compare=False)

    def __len__(self) -> int:
        return len(self.values.get("val_loss", []))

    def add(self, numbers: Mapping[str, float]) -> None:
        """Appends an epoch."""
        if numbers["val_loss"] < min(self.values.get("val_loss", [math.inf])):
            self.best_epoch = len(self) + 1
        for name, value in numbers.items():
            self.values.setdefault(name, []).append(float(value))

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        epochs = list(range(1, len(self) + 1))
        return {**self.values, "epochs": epochs, "best_epoch": self.best_epoch}


def write_histories(folder: Path, phases: Mapping[int, Mapping[str, TrainingCurves]]) -> None:
    """Writes `history/SEED.json` of each seed, and that of the first seed as `history.json`.

    A file holds the curves of every phase under `phases`, and those of the classifier's last phase
    at the top level.
    """
    (folder / "history").mkdir(parents=True, exist_ok=True)
    for number, (seed, curves) in enumerate(phases.items()):
        *_, last = (of for name, of in curves.items() if name != "detector")
        content = {**last.to_dict(), "phases": {name: of.to_dict() for name, of in curves.items()}}
        text = json.dumps(content, indent=1)
        (folder / "history" / f"{seed}.json").write_text(text)
        if number == 0:
            (folder / "history.json").write_text(text)
