"""What `training.json` says."""

from typing import Any

import numpy as np

from components.embedder.store import Embeddings
from components.trainer.answers import MemberAnswers
from components.trainer.calibrate import Calibrated
from components.trainer.job import Job
from components.trainer.losses import class_weights
from components.trainer.network import Network
from schema.labels import Task


def tell_members(
    told: list[dict[str, Any]],
    answers: MemberAnswers,
    positive: np.ndarray,
    targets: np.ndarray,
    of: Task,
) -> None:
    """Adds to each member its numbers on validation."""
    from components.evaluation.metrics import roc_auc

    known, certain = positive >= 0, targets.sum(axis=1) == 1
    for i, member in enumerate(told):
        of_member = answers.members[:, i]
        score = of_member[:, list(of.positive)].sum(axis=1)
        right = of_member.argmax(axis=1) == targets.argmax(axis=1)
        member["val"] = {
            "auc": roc_auc(positive[known], score[known]),
            "accuracy": float(right[certain].mean()) if certain.any() else None,
        }


def facts_of(
    job: Job, train: Embeddings, val: Embeddings, network: Network, fixed: Calibrated
) -> dict[str, Any]:
    """What `training.json` says beside members and seconds."""
    of, options = job.of, job.training

    counts: dict[str, list[int]] = {}
    for name, split in (("train", train), ("val", val)):
        known = zip(split.records.pathogen.tolist(), split.records.box_counts.tolist(), strict=True)
        labels = [of.class_of(*record) for record in known]
        counts[name] = [labels.count(i) for i in range(len(of.classes))]
    trained = [w for member in network.members for w in member.head.trainable_weights]
    trained += [
        w for member in network.members if member.upper for w in member.upper.trainable_weights
    ]
    weights: dict[str, float] = {}
    if options.class_weight == "balanced":
        of_class = class_weights(np.array(counts["train"])).tolist()
        weights = dict(zip(of.classes, of_class, strict=True))
    kept = (
        "views",
        "storage",
        "storage_error",
        "storage_noise",
        "compute",
        "agreement",
        "timed",
        "augment",
    )
    return {
        "trunk": job.model.trunk,
        "weights": job.weights.to_dict(),
        "image_size": job.size,
        "fit": job.model.fit,
        "cut": job.cut,
        "pooling": job.model.pooling,
        "task": of.to_dict(),
        "classes": list(of.classes),
        "class_weight": weights,
        "class_counts": counts,
        "parameters": {
            "trainable": int(sum(np.prod(w.shape) for w in trained)),
            "total": network.count_params(),
        },
        "seeds": list(options.seeds),
        "calibration": fixed.facts,
        "embedding": {
            **{name: train.facts.get(name) for name in kept},
            "images_per_second": train.facts["images_per_second"],
            "seconds": round(train.facts["seconds"] + val.facts["seconds"], 3),
        },
        "fine_tune": options.fine_tune.model_dump(mode="json") if options.fine_tune else None,
        "tuned": {
            name: getattr(job.model if name in ("dense", "dropout") else options, name)
            for name in ("dense", "dropout", "learning_rate", "weight_decay")
        },
    }
