"""What the Trainer node runs: a head for each seed, blocks of the trunk if asked for, export."""

import hashlib
import json
import logging
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from components.embedder.embed import SAMPLES
from components.embedder.store import Embeddings, read
from components.trainer.answers import MemberAnswers, answer, summary_text, write_predictions
from components.trainer.calibrate import Calibrated, calibrate
from components.trainer.facts import facts_of, tell_members
from components.trainer.fit import Places, fine_tune, fit_head, rows_source, write_history
from components.trainer.head import select
from components.trainer.images import embed_images, images_source
from components.trainer.job import Job, rows_of, tuned_values
from components.trainer.logs import log_images
from components.trainer.loop import Curves
from components.trainer.losses import targets_of
from components.trainer.network import Member, Network, moments

if TYPE_CHECKING:
    from collections.abc import Callable

    import tensorflow as tf
    from tfx.v1.components import FnArgs

    from components.detector.network import Locator
    from components.detector.phase import Located, Trained
    from components.explain.types import Explained
    from serving.export import Decision

AnyNetwork = TypeVar("AnyNetwork", Network, "Locator")

log = logging.getLogger("pneumo.trainer")


def run_fn(fn_args: "FnArgs") -> None:
    """Entry point of the TFX Trainer.

    `custom_config` is what `Job.parse` reads. Writes the SavedModel to `serving_model_dir` and the
    training record (curves, answers on validation, TensorBoard logs, facts) to `model_run_dir`.
    """
    import tensorflow_transform as tft

    from components.detector.network import locate
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
        lower, members, facts, phases = _members(job, train, val, folder, fn_args)
        network = Network(lower, tuple(members), job.model.pooling)
        trained = None
        if job.of.located:
            trained = _detectors(job, network, train, val, Path(scratch), folder, fn_args, phases)
        judged = _judge(job, answer(network, val), trained, val)
        located, fixed = judged.located, judged.fixed
        if located is not None:
            facts["detector"] = located.facts
            facts["seconds"]["detector"] = located.facts["seconds"]
        _write_histories(folder, phases)
        write_predictions(
            folder / "val_predictions.parquet", val.records, judged.answers, fixed, job.of,
            {"boxes": located.boxes, "box_scores": located.scores} if located else None,
        )  # fmt: skip
        tell_members(facts["members"], judged.answers, judged.positive, judged.targets, job.of)
        facts |= facts_of(job, train, val, network, fixed)
    (folder / "model_summary.txt").write_text(summary_text(network))
    decision = Decision(fixed.facts["temperature"], fixed.facts["threshold"], fixed.facts["band"])
    served: Network | Locator
    if located is not None:
        served, optimised = _served(located.locator)
        explain = locate(served, job.of, decision, located.choice, located.nms_iou)
        boxes = located.about
    else:
        served, optimised = _served(network)
        explain, boxes = _explained(served, job, decision, val)
    export(
        served,
        served.variables,
        network.size,
        tft.TFTransformOutput(fn_args.transform_output),
        job.of,
        fn_args.serving_model_dir,
        pixels_of=lambda png: from_png(png, network.size),
        features=served.features,
        decision=decision,
        explain=explain,
        box_threshold=located.choice.threshold if located is not None else 0.0,
        about={
            "name": job.name,
            "trunk": job.model.trunk,
            "weights": job.weights.to_dict(),
            "synthetic": job.synthetic,
            "data": {
                f"{split}_{what}": count
                for split, of in (("training", train), ("validation", val))
                for what, count in (
                    ("images", len(of)),
                    ("patients", len(set(of.records.patient_id.tolist()))),
                )
            },
            "seeds": list(job.training.seeds),
            "operating_point": fixed.facts["operating_point"],
            "optimised": optimised,
            "boxes": boxes,
        },
    )
    facts["seconds"]["all"] = round(time.monotonic() - started, 3)
    (folder / "training.json").write_text(json.dumps(facts, indent=1))


@dataclass(frozen=True)
class _Judged:
    """Answers on validation, and what was fixed on them.

    Attributes:
      answers: of the members; of a located task with the evidence of their boxes.
      targets: float32 [n, classes].
      positive: int [n], 1, 0 or -1.
      fixed: temperature, operating point, band.
      located: boxes of a located task.
    """

    answers: MemberAnswers
    targets: np.ndarray
    positive: np.ndarray
    fixed: Calibrated
    located: "Located | None"


def _judge(job: Job, answers: MemberAnswers, trained: "Trained | None", val: Embeddings) -> _Judged:
    """Fixes on validation all that is fixed there."""
    from components.detector.evidence import fit_evidence
    from components.detector.phase import choose_boxes

    records, counts = val.records, val.records.box_counts
    targets = targets_of(records.pathogen, job.of, counts)
    known = zip(records.pathogen.tolist(), counts.tolist(), strict=True)
    positive = np.array([job.of.side(*record) for record in known])
    if trained is None:
        fixed = calibrate(answers.logits, targets, positive, job.of, job.evaluation)
        return _Judged(answers, targets, positive, fixed, None)
    evidence = fit_evidence(answers.logits, trained.strongest, positive)
    answers = MemberAnswers.of(evidence.joined(answers.logits, trained.strongest))
    fixed = calibrate(answers.logits, targets, positive, job.of, job.evaluation)
    located = choose_boxes(job, trained, evidence, val, fixed.score)
    return _Judged(answers, targets, positive, fixed, located)


def _detectors(
    job: Job,
    network: Network,
    train: Embeddings,
    val: Embeddings,
    scratch: Path,
    folder: Path,
    fn_args: "FnArgs",
    phases: dict[int, dict[str, Curves]],
) -> "Trained":
    """The dense heads of a located task; their curves become a phase of each seed."""
    from components.detector.phase import fit_detectors

    places = {seed: _places(job, folder, fn_args, seed) for seed in job.training.seeds}
    found = fit_detectors(job, network, train, val, scratch, places)
    for seed, curves in found.curves.items():
        phases[seed]["detector"] = curves
    return found


def _write_histories(folder: Path, phases: dict[int, dict[str, Curves]]) -> None:
    """Curves of every seed, and those of the first as `history.json`."""
    for seed, of_seed in phases.items():
        write_history(folder, seed, of_seed)
    first = folder / "history" / f"{next(iter(phases))}.json"
    (folder / "history.json").write_text(first.read_text())


def _served(network: AnyNetwork) -> tuple[AnyNetwork, dict[str, Any]]:
    """The network as it is exported, and what was done to it: faster, if it says the same."""
    from serving.optimise import BOUND, difference

    folded = network.folded()
    apart = difference(network, folded, network.size)
    if apart <= BOUND:
        return folded, {"batch_norm_folded": True, "difference": apart}
    log.warning(
        "folding batch norm would change a probability by %.1e (bound %.0e); exported without",
        apart, BOUND,
    )  # fmt: skip
    return network, {"batch_norm_folded": False, "difference": apart}


def _explained(
    network: Network, job: Job, decision: "Decision", val: Embeddings
) -> "tuple[Callable[[tf.Tensor], Explained], dict[str, Any]]":
    """What the model says of places, and the facts of its boxes: weak ones, of a heat map."""
    from components.explain.choice import FEWEST, Part, choose_part
    from components.explain.explainer import explainer, reference_of
    from components.transform.boxes import fit_boxes

    records, part, reference, healthy = val.records, Part(), None, 0
    if val.plain is not None:
        pixels, rows = val.plain
        counts = records.box_counts
        chosen = [job.of.side(str(records.pathogen[i]), int(counts[i])) == 0 for i in rows]
        healthy = sum(chosen)
        if healthy >= FEWEST:
            reference = reference_of(network, job.of, pixels[np.array(chosen)])
    if val.marked is not None:
        pixels, rows = val.marked
        truth = [
            fit_boxes(
                records.boxes[i], records.height[i], records.width[i], job.model.fit, job.size
            )
            for i in rows
        ]
        part = choose_part(explainer(network, job.of, decision, reference=reference), pixels, truth)
    facts = {
        "kind": "weak",
        "threshold": part.part,
        "threshold_is": "part of the image's greatest heat",
        "image_threshold": decision.threshold,
        "shrink": 1.0,
        "nms_iou": None,
        "chosen": part.to_dict(),
        # Negative images of validation whose mean evidence is subtracted; too few: nothing is.
        "reference_images": healthy if reference is not None else 0,
    }
    return explainer(network, job.of, decision, part.part, reference), facts


def _members(
    job: Job, train: Embeddings, val: Embeddings, folder: Path, fn_args: "FnArgs"
) -> tuple[Any, list[Member], dict[str, Any], dict[int, dict[str, Curves]]]:
    """Trains one member for each seed; gives their trunk, them, facts, and curves by phase."""
    options, tune = job.training, job.training.fine_tune
    balanced = options.class_weight == "balanced"
    rows, val_rows = rows_of(train, job.of, balanced), rows_of(val, job.of, balanced=False)
    # The same images, as they are at the cut.
    at_cut, val_at_cut = replace(rows, views=train.maps), replace(val_rows, views=val.maps)
    scaling = moments(select(train.features[0], job.model.pooling))
    lower, _ = job.trunk.split()
    samples = Path(fn_args.train_files[0]).parent / SAMPLES
    if samples.is_file():
        log_images(folder / "tensorboard", "images and their views", np.load(samples))
    members, told = [], []
    curves_of: dict[int, dict[str, Curves]] = {}
    seconds = {"embed": train.facts["seconds"] + val.facts["seconds"], "fit": 0.0, "fine_tune": 0.0}
    for seed in options.seeds:
        places = _places(job, folder, fn_args, seed)
        at = time.monotonic()
        head, curves = fit_head(rows, val_rows, scaling, job.of, job.model, options, seed, places)
        phases: dict[str, Curves] = {"head": curves}
        upper, spent = None, {"head": round(time.monotonic() - at, 3)}
        if tune is not None:
            at = time.monotonic()
            if job.from_images:
                source = images_source(job, seed, fn_args.train_files, fn_args.eval_files, rows)
            else:
                source = rows_source(at_cut, val_at_cut, seed, tune.batch_size)
            upper, head, phases["fine_tune"] = fine_tune(
                job.trunk, head, source, job.model.pooling, tune, options, seed, places
            )  # fmt: skip
            spent["fine_tune"] = round(time.monotonic() - at, 3)
        curves_of[seed] = phases
        members.append(Member(head, upper))
        *_, last = phases.values()
        told.append(
            {"seed": seed, "epochs": len(last), "best_epoch": last.best_epoch, "seconds": spent}
        )
        for phase, of_phase in (("fit", "head"), ("fine_tune", "fine_tune")):
            seconds[phase] = round(seconds[phase] + spent.get(of_phase, 0.0), 3)
    return lower, members, {"members": told, "seconds": seconds}, curves_of


def _places(job: Job, folder: Path, fn_args: "FnArgs", seed: int) -> Places:
    """Where a member leaves its traces."""
    return Places(job.checkpoints / _fingerprint(fn_args), folder / "tensorboard" / f"seed-{seed}")


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
