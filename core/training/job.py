"""A training run: options with tuned values and resolved weights."""

import json
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

from core.metrics.options import EvaluationOptions
from core.models.backbone_weights import BackboneWeights, resolve_deferred
from core.models.backbones import TOP, resolve_layer
from core.models.options import MemberOptions, ModelOptions
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
      member_weights: of each of `model.members`.
      teacher_sha256: digest of the teacher; empty without distillation.
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
    member_weights: tuple[BackboneWeights, ...] = ()
    teacher_sha256: str = ""

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
        member_weights = tuple(
            resolve_deferred(weights, network.backbone, default=options.weights.file)
            for weights, network in zip(
                options.member_weights, options.model.networks(), strict=bool(options.model.members)
            )
        )
        return cls(
            name=options.name,
            model=options.model,
            training=options.training,
            evaluation=options.evaluation,
            weights=member_weights[0]
            if member_weights
            else resolve_deferred(options.weights, options.model.backbone),
            task=options.task,
            size=options.image_size,
            layer=options.layer,
            synthetic=_synthetic(options),
            checkpoints=options.checkpoints,
            member_weights=member_weights,
            teacher_sha256=options.teacher_sha256,
        )

    def networks(self) -> "dict[str, Job]":
        """Returns the job of each network under a unique name; without `model.members` itself."""
        members = self.model.members
        if not members:
            training = self.training
            if self.layer == TOP:
                training = training.model_copy(update={"fine_tune": None})
            return {"": replace(self, training=training)}
        count = Counter(member.backbone for member in members)
        jobs = {}
        for i, (member, model, weights) in enumerate(
            zip(members, self.model.networks(), self.member_weights, strict=True)
        ):
            name = model.backbone if count[model.backbone] == 1 else f"{model.backbone}-{i + 1}"
            training, layer = _member_training(self.training, member)
            jobs[name] = replace(
                self,
                model=model,
                training=training,
                layer=layer,
                weights=weights,
                member_weights=(),
            )
        return jobs

    @property
    def backbone_names(self) -> str:
        """Names of the backbones, as "InceptionV3 + Xception"."""
        return " + ".join(dict.fromkeys(one.backbone for one in self.model.networks()))

    @property
    def backbone(self) -> BackboneConfig:
        """Parameters to build the same backbone as the Embedder."""
        seed = self.training.embedding.seed
        return BackboneConfig(
            self.model.backbone, self.size, self.weights.file or None, self.layer, seed
        )


def _member_training(
    training: TrainingOptions, member: MemberOptions
) -> tuple[TrainingOptions, str]:
    """Returns the training options of a member and the layer above which it is trained."""
    tune = training.fine_tune
    assert tune is not None
    names = ("trainable_from", "view_size", "epochs", "learning_rate")
    given = {name: getattr(member, name) for name in names if getattr(member, name) is not None}
    tune = tune.model_copy(update=given)
    layer = resolve_layer(member.backbone, tune.trainable_from)
    return training.model_copy(update={"fine_tune": None if layer == TOP else tune}), layer


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
