"""Objective, output folders and curves of a training phase."""

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
    """Loss and metrics of a phase, each computed per image.

    Attributes:
      loss: minimized in training.
      validation_loss: selects the best epoch.
      metrics: name -> additional metric.
    """

    loss: PerImage
    validation_loss: PerImage
    metrics: Mapping[str, PerImage] = field(default_factory=dict)


@dataclass(frozen=True)
class OutputPaths:
    """Folders that an ensemble member writes to while it is trained.

    Attributes:
      checkpoints: path or URI.
      logs: TensorBoard logs.
    """

    checkpoints: Path | str
    logs: Path


@dataclass
class TrainingCurves:
    """Loss, metrics and learning rate per epoch.

    Attributes:
      values: name -> one value per epoch: `loss`, `val_loss`, `learning_rate`, and each metric
        under its name and with the prefix `val_`.
      best_epoch: counted from 1; 0 before the first epoch.
      earlier_seconds: training time before the run was resumed.
    """

    values: dict[str, list[float]] = field(default_factory=dict)
    best_epoch: int = 0
    earlier_seconds: float = field(default=0.0, compare=False)

    def __len__(self) -> int:
        return len(self.values.get("val_loss", []))

    def add(self, numbers: Mapping[str, float]) -> None:
        """Appends an epoch."""
        if numbers["val_loss"] < min(self.values.get("val_loss", [math.inf])):
            self.best_epoch = len(self) + 1
        for name, value in numbers.items():
            self.values.setdefault(name, []).append(float(value))

    def to_dict(self) -> dict[str, Any]:
        """Returns the content of a history file."""
        epochs = list(range(1, len(self) + 1))
        return {**self.values, "epochs": epochs, "best_epoch": self.best_epoch}


def write_histories(folder: Path, phases: Mapping[Any, Mapping[str, TrainingCurves]]) -> None:
    """Writes `history/MEMBER.json` for each member, and `history.json` for the first.

    The name of a member is its seed, after the name of the backbone if there are several. A file
    contains the curves of all phases under `phases`, and those of the classifier's last phase at
    the top level.
    """
    (folder / "history").mkdir(parents=True, exist_ok=True)
    for number, (member, curves) in enumerate(phases.items()):
        *_, last = (phase for name, phase in curves.items() if name != "detector")
        all_phases = {name: phase.to_dict() for name, phase in curves.items()}
        content = {**last.to_dict(), "phases": all_phases}
        text = json.dumps(content, indent=1)
        (folder / "history" / f"{member}.json").write_text(text)
        if number == 0:
            (folder / "history.json").write_text(text)
