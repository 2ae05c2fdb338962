"""The configuration of one Trainer, parsed, and what it may learn from."""

import json
from dataclasses import dataclass
from typing import Any

from core.metrics.options import EvaluationOptions
from core.models.backbone_weights import BackboneWeights, resolve_deferred
from core.models.options import ModelOptions
from core.training.fine_tuning import BackboneConfig
from core.training.options import TrainingOptions
from schema.labels import Task
from schema.storage import join, read_bytes


@dataclass(frozen=True)
class Job:
    """The configuration of one Trainer, parsed.

    Attributes:
      name: of the configuration.
      layer: "top" where the whole backbone stays frozen.
      checkpoints: folder that a killed training resumes from; a path or a URI.
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
    def parse(cls, config: dict[str, Any], tuned: dict[str, Any] | None = None) -> "Job":
        """Reads `custom_config` of the Trainer.

        Args:
          config: as the graph puts it together.
          tuned: values that the Tuner found best: `dense`, `dropout`, `learning_rate`,
            `weight_decay`.

        Raises:
          PneumoError: weights or records that a compiled graph names cannot be had.
        """
        model, training = dict(config["model"]), dict(config["training"])
        for name, value in (tuned or {}).items():
            (model if name in ("dense", "dropout") else training)[name] = value
        return cls(
            name=config["name"],
            model=ModelOptions(**model),
            training=TrainingOptions(**training),
            evaluation=EvaluationOptions(**config["evaluation"]),
            weights=resolve_deferred(BackboneWeights(**config["weights"]), model["backbone"]),
            task=Task.from_dict(config["task"]),
            size=int(config["image_size"]),
            layer=config["layer"],
            synthetic=_synthetic(config),
            checkpoints=str(config["checkpoints"]),
        )

    @property
    def from_images(self) -> bool:
        """Whether training reads images and not embeddings."""
        return self.training.fine_tune is not None and self.training.fine_tune.source == "images"

    @property
    def backbone(self) -> BackboneConfig:
        """How to build the backbone as the Embedder had it."""
        seed = self.training.embedding.seed
        return BackboneConfig(
            self.model.backbone, self.size, self.weights.file or None, self.layer, seed
        )


def _synthetic(config: dict[str, Any]) -> bool:
    """Whether the images are phantoms; unknown in a compiled graph, which reads the records."""
    if config["synthetic"] is not None:
        return bool(config["synthetic"])
    return bool(json.loads(read_bytes(join(config["records"], "dataset.json")))["synthetic"])


def tuned_values(hyperparameters: dict[str, Any] | None) -> dict[str, Any] | None:
    """The Tuner's best values as options; none without a Tuner."""
    if not hyperparameters:
        return None
    values = dict(hyperparameters.get("values", hyperparameters))
    if "dense" in values:
        values["dense"] = tuple(int(size) for size in str(values["dense"]).split("-") if size)
    known = ("dense", "dropout", "learning_rate", "weight_decay")
    return {name: values[name] for name in known if name in values}
