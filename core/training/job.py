"""A training run: options with tuned values and resolved weights."""

import json
from dataclasses import dataclass
from typing import Any

from core.metrics.options import EvaluationOptions
from core.models.backbone_weights import BackboneWeights, resolve_deferred
from core.models.options import ModelOptions
from core.training.classifier.fine_tuning import BackboneConfig
from core.training.options import TrainerOptions, TrainingOptions
from schema.labels import Task
from schema.options import with_field
from schema.storage import join, read_bytes


@dataclass(frozen=True)
class Job:
    """A training run: the Trainer's options with tuned values and resolved weights.

    Attributes:
      size: image side, pixels.
      layer: the backbone is trained above it; "top": the whole backbone is frozen.
      checkpoints: checkpoint folder, a path or a URI.
    """

    name: str
    model: ModelOptions
    training: TrainingOptions
    evaluation: EvaluationOptions
    weights: BackboneWeights
    task: Task
    size: int
    layer: str
    synthetic: bool
    checkpoints: str

    @classmethod
    def resolve(cls, options: TrainerOptions, tuned: dict[str, Any] | None = None) -> "Job":
        """Applies tuned values and resolves weights and records.

        Args:
          options: options of the node.
          tuned: best values of the Tuner, see `tuned_values`.

        Raises:
          PneumoError: weights or records named in a compiled graph cannot be read.
        """
        for name, value in (tuned or {}).items():
            section = "model" if name in ("dense", "dropout") else "training"
            options = with_field(options, f"{section}.{name}", value)
        return cls(
            name=options.name,
            model=options.model,
            training=options.training,
            evaluation=options.evaluation,
            weights=resolve_deferred(options.weights, options.model.backbone),
            task=options.task,
            size=options.image_size,
            layer=options.layer,
            synthetic=_synthetic(options),
            checkpoints=options.checkpoints,
        )

    @property
    def backbone(self) -> BackboneConfig:
        """Parameters to build the same backbone as the Embedder."""
        seed = self.training.embedding.seed
        return BackboneConfig(
            self.model.backbone, self.size, self.weights.file or None, self.layer, seed
        )


def _synthetic(options: TrainerOptions) -> bool:
    if options.synthetic is not None:
        return options.synthetic
    return bool(json.loads(read_bytes(join(options.records, "dataset.json")))["synthetic"])


def tuned_values(hyperparameters: dict[str, Any] | None) -> dict[str, Any] | None:
    """Returns the Tuner's best `dense`, `dropout`, `learning_rate` and `weight_decay`, or None."""
    if not hyperparameters:
        return None
    values = dict(hyperparameters.get("values", hyperparameters))
    if "dense" in values:
        values["dense"] = tuple(int(size) for size in str(values["dense"]).split("-") if size)
    known = ("dense", "dropout", "learning_rate", "weight_decay")
    return {name: values[name] for name in known if name in values}
