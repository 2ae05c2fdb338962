"""What the Trainer node runs: a head for each seed, blocks of the trunk if asked for, export."""

import hashlib
import json
import logging
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from components.embedder.embed import SAMPLES
from components.embedder.store import Embeddings, read
from components.evaluation.options import EvaluationOptions
from components.trainer.answers import Answers, answer, summary_text, write_predictions
from components.trainer.batches import Rows
from components.trainer.calibrate import Calibrated, calibrate
from components.trainer.fit import Places, Trunk, fine_tune, fit_head, rows_source, write_history
from components.trainer.head import select
from components.trainer.images import embed_images, images_source
from components.trainer.logs import log_images
from components.trainer.loop import Curves
from components.trainer.losses import example_weights, targets_of
from components.trainer.network import Member, Network, moments
from components.trainer.options import ModelOptions, TrainingOptions
from components.trainer.weights import Weights
from schema.labels import Task

if TYPE_CHECKING:
    from tfx.v1.components import FnArgs

log = logging.getLogger("pneumo.trainer")


@dataclass(frozen=True)
class Job:
    """The configuration of one Trainer, parsed.

    Attributes:
      name: of the configuration.
      cut: "top" where the whole trunk stays frozen.
    """

    name: str
    model: ModelOptions
    training: TrainingOptions
    evaluation: EvaluationOptions
    weights: Weights
    of: Task
    size: int
    cut: str
    synthetic: bool
    checkpoints: Path

    @classmethod
    def parse(cls, config: dict[str, Any], tuned: dict[str, Any] | None = None) -> "Job":
        """Reads `custom_config` of the Trainer.

        Args:
          config: as the graph puts it together.
          tuned: values that the Tuner found best: `dense`, `dropout`, `learning_rate`,
            `weight_decay`.
        """
        model, training = dict(config["model"]), dict(config["training"])
        for name, value in (tuned or {}).items():
            (model if name in ("dense", "dropout") else training)[name] = value
        return cls(
            name=config["name"],
            model=ModelOptions(**model),
            training=TrainingOptions(**training),
            evaluation=EvaluationOptions(**config["evaluation"]),
            weights=Weights(**config["weights"]),
            of=Task.from_dict(config["task"]),
            size=int(config["image_size"]),
            cut=config["cut"],
            synthetic=bool(config["synthetic"]),
            checkpoints=Path(config["checkpoints"]),
        )

    @property
    def from_images(self) -> bool:
        """Whether training reads images and not embeddings."""
        return self.training.fine_tune is not None and self.training.fine_tune.source == "images"

    @property
    def trunk(self) -> Trunk:
        """How to build the trunk as the Embedder had it."""
        seed = self.training.embedding.seed
        return Trunk(self.model.trunk, self.size, self.weights.file or None, self.cut, seed)


def rows_of(embeddings: Embeddings, of: Task, balanced: bool, maps: bool = False) -> Rows:
    """What training may use of a split.

    Raises:
      ValueError: no image has a place in the task, or balanced weights lack a class.
    """
    targets = targets_of(embeddings.records.pathogen, of)
    rows = np.flatnonzero(targets.sum(axis=1) > 0)
    if not len(rows):
        raise ValueError(f"no image has a class of task {of.name!r}; look at the pathogens")
    weights = np.zeros(len(targets), np.float32)
    weights[rows] = example_weights(targets[rows], balanced)
    return Rows(embeddings.maps if maps else embeddings.features, targets, weights, rows)


def run_fn(fn_args: "FnArgs") -> None:
    """Entry point of the TFX Trainer.

    `custom_config` is what `Job.parse` reads. Writes the SavedModel to `serving_model_dir` and the
    training record (curves, answers on validation, TensorBoard logs, facts) to `model_run_dir`.
    """
    import tensorflow_transform as tft

    from components.transform.decode import from_png
    from serving.export import Decision, export

    started = time.monotonic()
    job = Job.parse(fn_args.custom_config, tuned_values(fn_args.hyperparameters))
    folder = Path(fn_args.model_run_dir)
    folder.mkdir(parents=True, exist_ok=True)
    if notice := job.weights.notice(job.model.trunk):
        log.warning(notice)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        if job.from_images:
            train, val = embed_images(job, fn_args.train_files, fn_args.eval_files, Path(scratch))
        else:
            train, val = (
                read(Path(f[0]).parent) for f in (fn_args.train_files, fn_args.eval_files)
            )
        lower, members, facts = _members(job, train, val, folder, fn_args)
        network = Network(lower, tuple(members), job.model.pooling)
        answers = answer(network, val)
        targets = targets_of(val.records.pathogen, job.of)
        positive = np.array([job.of.is_positive(name) for name in val.records.pathogen.tolist()])
        fixed = calibrate(answers.logits, targets, positive, job.of, job.evaluation)
        write_predictions(folder / "val_predictions.parquet", val.records, answers, fixed, job.of)
        _tell_members(facts["members"], answers, positive, targets, job.of)
        facts |= _facts(job, train, val, network, fixed)
    (folder / "model_summary.txt").write_text(summary_text(network))
    export(
        network,
        network.variables,
        network.size,
        tft.TFTransformOutput(fn_args.transform_output),
        job.of,
        fn_args.serving_model_dir,
        pixels_of=lambda png: from_png(png, network.size),
        decision=Decision(
            fixed.facts["temperature"], fixed.facts["threshold"], fixed.facts["band"]
        ),
        about={
            "name": job.name,
            "trunk": job.model.trunk,
            "weights": job.weights.to_dict(),
            "synthetic": job.synthetic,
            "seeds": list(job.training.seeds),
            "operating_point": fixed.facts["operating_point"],
        },
    )
    facts["seconds"]["all"] = round(time.monotonic() - started, 3)
    (folder / "training.json").write_text(json.dumps(facts, indent=1))


def _members(
    job: Job, train: Embeddings, val: Embeddings, folder: Path, fn_args: "FnArgs"
) -> tuple[Any, list[Member], dict[str, Any]]:
    """Trains one member for each seed."""
    options, tune = job.training, job.training.fine_tune
    balanced = options.class_weight == "balanced"
    rows, val_rows = rows_of(train, job.of, balanced), rows_of(val, job.of, balanced=False)
    scaling = moments(select(train.features[0], job.model.pooling))
    lower, _ = job.trunk.split()
    samples = Path(fn_args.train_files[0]).parent / SAMPLES
    if samples.is_file():
        log_images(folder / "tensorboard", "images and their views", np.load(samples))
    members, told = [], []
    seconds = {"embed": train.facts["seconds"] + val.facts["seconds"], "fit": 0.0, "fine_tune": 0.0}
    for seed in options.seeds:
        places = Places(
            job.checkpoints / _fingerprint(fn_args), folder / "tensorboard" / f"seed-{seed}"
        )
        at = time.monotonic()
        head, curves = fit_head(
            rows, val_rows, scaling, job.of, job.model, options, seed, places
        )  # fmt: skip
        phases: dict[str, Curves] = {"head": curves}
        upper, spent = None, {"head": round(time.monotonic() - at, 3)}
        if tune is not None:
            at = time.monotonic()
            if job.from_images:
                source = images_source(job, seed, fn_args.train_files, fn_args.eval_files, rows)
            else:
                source = rows_source(
                    rows_of(train, job.of, balanced, maps=True),
                    rows_of(val, job.of, balanced=False, maps=True),
                    seed,
                    tune.batch_size,
                )
            upper, head, phases["fine_tune"] = fine_tune(
                job.trunk, head, source, job.model.pooling, tune, options, seed, places,
                options.distribution,
            )  # fmt: skip
            spent["fine_tune"] = round(time.monotonic() - at, 3)
        write_history(folder, seed, phases)
        members.append(Member(head, upper))
        *_, last = phases.values()
        told.append(
            {"seed": seed, "epochs": len(last), "best_epoch": last.best_epoch, "seconds": spent}
        )
        for phase, of_phase in (("fit", "head"), ("fine_tune", "fine_tune")):
            seconds[phase] = round(seconds[phase] + spent.get(of_phase, 0.0), 3)
    first = folder / "history" / f"{options.seeds[0]}.json"
    (folder / "history.json").write_text(first.read_text())
    return lower, members, {"members": told, "seconds": seconds}


def tuned_values(hyperparameters: dict[str, Any] | None) -> dict[str, Any] | None:
    """The Tuner's best values as options; none without a Tuner."""
    if not hyperparameters:
        return None
    values = dict(hyperparameters.get("values", hyperparameters))
    if "dense" in values:
        values["dense"] = tuple(int(size) for size in str(values["dense"]).split("-") if size)
    known = ("dense", "dropout", "learning_rate", "weight_decay")
    return {name: values[name] for name in known if name in values}


def _fingerprint(fn_args: "FnArgs") -> str:
    """Names the checkpoints of this very training: its inputs and every option."""
    parts = [
        list(fn_args.train_files),
        list(fn_args.eval_files),
        fn_args.custom_config,
        fn_args.hyperparameters,
    ]
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _tell_members(
    told: list[dict[str, Any]],
    answers: Answers,
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


def _facts(
    job: Job, train: Embeddings, val: Embeddings, network: Network, fixed: Calibrated
) -> dict[str, Any]:
    """What `training.json` says beside members and seconds."""
    of, options = job.of, job.training

    def counts(split: Embeddings) -> list[int]:
        labels = [of.label(name) for name in split.records.pathogen.tolist()]
        return [labels.count(i) for i in range(len(of.classes))]

    trained = [w for member in network.members for w in member.head.trainable_weights]
    trained += [
        w for member in network.members if member.upper for w in member.upper.trainable_weights
    ]
    weights: dict[str, float] = {}
    if options.class_weight == "balanced":
        total, of_class = sum(counts(train)), counts(train)
        weights = {
            name: total / (len(of.classes) * n)
            for name, n in zip(of.classes, of_class, strict=True)
        }
    kept = ("views", "storage", "storage_error", "compute", "agreement", "timed", "augment")
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
        "class_counts": {"train": counts(train), "val": counts(val)},
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
