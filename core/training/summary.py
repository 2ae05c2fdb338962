"""Training summary: the content of `training.json` and `model_summary.txt`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.embedding.store import Embeddings
from core.models.classifier import ClassifierNetwork, EnsembleMember
from core.training.calibration import CalibrationResult
from core.training.data.targets import class_weights
from core.training.ensemble_predictions import EnsemblePredictions
from core.training.job import Job
from schema.labels import Task

if TYPE_CHECKING:
    import keras

_EMBEDDING_KEYS = (
    "views",
    "storage",
    "storage_error",
    "storage_noise",
    "compute",
    "agreement",
    "timed",
    "augment",
    "images_per_second",
)


def add_member_metrics(
    members: Sequence[dict[str, Any]],
    predictions: EnsemblePredictions,
    positive: np.ndarray,
    targets: np.ndarray,
    task: Task,
) -> None:
    """Adds AUC and accuracy on validation to the summary of each ensemble member."""
    from core.metrics.binary import roc_auc_score

    known, certain = positive >= 0, targets.sum(axis=1) == 1
    for i, member in enumerate(members):
        probabilities = predictions.probabilities[:, i]
        score = probabilities[:, list(task.positive)].sum(axis=1)
        correct = probabilities.argmax(axis=1) == targets.argmax(axis=1)
        member["val"] = {
            "auc": roc_auc_score(positive[known], score[known]),
            "accuracy": float(correct[certain].mean()) if certain.any() else None,
        }


def member_correlation(predictions: EnsemblePredictions, task: Task) -> list[list[float | None]]:
    """Returns the correlation of each two members' log-odds on validation, see the report."""
    from core.metrics.seeds import log_odds_correlation

    score = predictions.probabilities[:, :, list(task.positive)].sum(axis=2)
    values = log_odds_correlation(score)(np.ones((1, len(score))))
    matrix = np.eye(score.shape[1])
    for name, value in values.items():
        i, j = map(int, name.split("-"))
        matrix[i, j] = matrix[j, i] = value[0]
    return [
        [round(value, 4) if np.isfinite(value) else None for value in row]
        for row in matrix.tolist()
    ]


def training_summary(
    job: Job,
    train: Embeddings,
    val: Embeddings,
    network: ClassifierNetwork,
    calibrated: CalibrationResult,
) -> dict[str, Any]:
    """Returns the content of `training.json` except `members`, `seconds` and `detector`."""
    task, options = job.task, job.training
    tune = next(iter(job.networks().values())).training.fine_tune
    counts: dict[str, list[int]] = {}
    for name, split in (("train", train), ("val", val)):
        labels = split.records.class_labels(task).tolist()
        counts[name] = [labels.count(i) for i in range(len(task.classes))]
    weights: dict[str, float] = {}
    if options.class_weight == "balanced":
        balanced = class_weights(np.array(counts["train"])).tolist()
        weights = dict(zip(task.classes, balanced, strict=True))
    models = [model for member in network.members for model in (member.head, member.upper) if model]
    trained = [weight for model in models for weight in model.trainable_weights]
    return {
        "backbone": job.backbone_names,
        "backbones": [_backbone(one) for one in job.networks().values()],
        "weights": job.weights.to_dict(),
        "image_size": job.size,
        "fit": job.model.fit,
        "layer": job.layer,
        "pooling": job.model.pooling,
        "task": task.to_dict(),
        "classes": list(task.classes),
        "class_weight": weights,
        "class_counts": counts,
        "test_time_augmentation": job.model.test_time_augmentation
        and job.model.test_time_augmentation.model_dump(mode="json"),
        # Of each member, for one image.
        "forward_passes": max(1, len(network.views)),
        "parameters": {
            "trainable": int(sum(np.prod(weight.shape) for weight in trained)),
            "total": network.count_params(),
        },
        "seeds": list(options.seeds),
        "calibration": calibrated.summary,
        "embedding": {
            **{name: train.metadata.get(name) for name in _EMBEDDING_KEYS},
            "seconds": round(train.metadata["seconds"] + val.metadata["seconds"], 3),
        },
        "fine_tune": tune.model_dump(mode="json") if tune else None,
        "distill": options.distill.model_dump(mode="json", exclude={"teacher"})
        | {"teacher": Path(options.distill.teacher).name}
        if options.distill
        else None,
        "tuned": {
            name: getattr(job.model if name in ("dense", "dropout") else options, name)
            for name in ("dense", "dropout", "learning_rate", "weight_decay")
        },
    }


def _backbone(job: Job) -> dict[str, Any]:
    tune = job.training.fine_tune
    return {
        "backbone": job.model.backbone,
        "weights": job.weights.to_dict(),
        "layer": job.layer,
        "fine_tune": tune.model_dump(mode="json") if tune else None,
    }


def model_summary(network: ClassifierNetwork) -> str:
    """Returns Keras's summaries: pooling and heads, then fine-tuned and frozen parts of backbones.

    Of members that share a frozen part, the first one is described.
    """
    members = {id(member.lower): member for member in reversed(network.members)}.values()
    first = list(reversed(members))
    models = [pooling_and_head(member, network.pooling) for member in first]
    models += [part for one in first for part in (one.upper, one.lower) if part is not None]
    lines: list[str] = []
    for model in models:
        model.summary(print_fn=lambda line, *_, **__: lines.append(line), expand_nested=True)
    lines.append(f"members of the ensemble: {len(network.members)}")
    return "\n".join(lines) + "\n"


def pooling_and_head(member: EnsembleMember, pooling: str) -> "keras.Model":
    """Returns a model with the layers above the backbone: feature map -> logits.

    It shares the head of the member and is for its summary; `core.models.head.pool` pools.
    """
    import keras

    shape = (member.upper or member.lower).output_shape[1:]
    maps = keras.Input(shape, name="feature_map")
    pooled = []
    if pooling != "max":
        pooled.append(keras.layers.GlobalAveragePooling2D(name="avg_pooling")(maps))
    if pooling != "avg":
        pooled.append(keras.layers.GlobalMaxPooling2D(name="max_pooling")(maps))
    features = pooled[0]
    if len(pooled) > 1:
        features = keras.layers.Concatenate(name="concatenate")(pooled)
    return keras.Model(maps, member.head(features), name="pooling_and_head")
