"""What the Trainer node runs: a head for each seed, blocks of the trunk if asked for, export."""

import json
import logging
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from components.embedder.store import Embeddings
from components.trainer.answers import MemberAnswers, answer, summary_text, write_predictions
from components.trainer.calibrate import Calibrated, calibrate
from components.trainer.distribution import Team
from components.trainer.facts import facts_of, tell_members
from components.trainer.fit import write_history
from components.trainer.job import Job, tuned_values
from components.trainer.loop import Curves
from components.trainer.losses import targets_of
from components.trainer.members import places_of, states_of, train_members
from components.trainer.network import Network
from schema import storage

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
    team = Team()
    job = Job.parse(fn_args.custom_config, tuned_values(fn_args.hyperparameters))
    _train(job, fn_args, team)


def _train(job: Job, fn_args: "FnArgs", team: Team) -> None:
    import tensorflow_transform as tft

    from components.detector.network import locate
    from components.transform.decode import from_png
    from serving.export import Decision, export

    started = time.monotonic()
    folder = Path(fn_args.model_run_dir)
    folder.mkdir(parents=True, exist_ok=True)
    if notice := job.weights.notice(job.model.trunk):
        log.warning(notice)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        found = train_members(job, Path(scratch), folder, fn_args, team)
        if found is None:
            return
        train, val, facts, phases = found.train, found.val, found.facts, found.phases
        network = Network(found.lower, tuple(found.members), job.model.pooling)
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
    storage.remove(states_of(job, fn_args))  # nothing is left to go on from


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

    places = {seed: places_of(job, folder, fn_args, seed) for seed in job.training.seeds}
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
