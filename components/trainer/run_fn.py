"""Entry point of the Trainer node: trains the members, calibrates on validation, exports."""

import json
import logging
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from core.embedding.store import Embeddings
from core.models.classifier import ClassifierNetwork
from core.training.calibration import CalibrationResult, calibrate
from core.training.ensemble import TrainedEnsemble, checkpoint_folder, output_paths, train_ensemble
from core.training.ensemble_predictions import (
    EnsemblePredictions,
    model_summary,
    predict_ensemble,
    write_predictions,
)
from core.training.job import Job, tuned_values
from core.training.loop.curves import write_histories
from core.training.losses import class_targets
from core.training.summary import add_member_metrics, training_summary
from schema import storage

if TYPE_CHECKING:
    from collections.abc import Callable

    import tensorflow as tf
    from tfx.v1.components import FnArgs

    from core.models.decision_rule import DecisionRule
    from core.models.detector.network import DetectorNetwork
    from core.models.explain.explanation import Explanation
    from core.training.detector.phase import CalibratedDetector, TrainedDetectors

AnyNetwork = TypeVar("AnyNetwork", ClassifierNetwork, "DetectorNetwork")

log = logging.getLogger("pneumo.trainer")


def run_fn(fn_args: "FnArgs") -> None:
    """Trains, and writes the model.

    `custom_config` is what `Job.parse` reads. Writes the SavedModel to `serving_model_dir` and the
    training record (curves, predictions on validation, TensorBoard logs, facts) to `model_run_dir`.
    """
    started = time.monotonic()
    job = Job.parse(fn_args.custom_config, tuned_values(fn_args.hyperparameters))
    folder = Path(fn_args.model_run_dir)
    folder.mkdir(parents=True, exist_ok=True)
    if notice := job.weights.notice(job.model.backbone):
        log.warning(notice)
    with tempfile.TemporaryDirectory(dir=folder) as name:
        scratch = Path(name)
        trained = train_ensemble(job, scratch, folder, fn_args)
        train, val, facts = trained.train, trained.val, trained.facts
        network = ClassifierNetwork(trained.lower, tuple(trained.members), job.model.pooling)
        dense = None
        if job.task.located:
            dense = _train_detectors(job, network, trained, scratch, folder, fn_args)
        on_val = _calibrate(job, predict_ensemble(network, val), dense, val)
        calibrated, located = on_val.calibrated, on_val.located
        if located is not None:
            facts["detector"] = located.facts
            facts["seconds"]["detector"] = located.facts["seconds"]
        write_histories(folder, trained.phases)
        write_predictions(
            folder / "val_predictions.parquet",
            val.records,
            on_val.predictions,
            calibrated,
            job.task,
            {"boxes": located.boxes, "box_scores": located.scores} if located else None,
        )
        add_member_metrics(
            facts["members"], on_val.predictions, on_val.positive, on_val.targets, job.task
        )
        facts |= training_summary(job, train, val, network, calibrated)
    (folder / "model_summary.txt").write_text(model_summary(network))
    _export(job, network, trained, calibrated, located, fn_args)
    facts["seconds"]["all"] = round(time.monotonic() - started, 3)
    (folder / "training.json").write_text(json.dumps(facts, indent=1))
    storage.remove(checkpoint_folder(job, fn_args))


def _export(
    job: Job,
    network: ClassifierNetwork,
    trained: TrainedEnsemble,
    calibrated: CalibrationResult,
    located: "CalibratedDetector | None",
    fn_args: "FnArgs",
) -> None:
    """Writes the SavedModel."""
    import tensorflow_transform as tft

    from core.images.decode import from_png
    from core.models.decision_rule import DecisionRule
    from core.models.detector.network import build_detector_explain_fn
    from serving.export.saved_model import export

    facts = calibrated.facts
    decision = DecisionRule(facts["temperature"], facts["threshold"], facts["band"])
    served: ClassifierNetwork | DetectorNetwork
    if located is not None:
        served, optimised = _optimised(located.locator)
        explain = build_detector_explain_fn(
            served, job.task, decision, located.choice, located.nms_iou
        )
        boxes = located.about
    else:
        served, optimised = _optimised(network)
        explain, boxes = _explained(served, job, decision, trained.val)
    data = {}
    for split, of in (("training", trained.train), ("validation", trained.val)):
        data[f"{split}_images"] = len(of)
        data[f"{split}_patients"] = len(set(of.records.patient_id.tolist()))
    export(
        served,
        served.variables,
        network.size,
        tft.TFTransformOutput(fn_args.transform_output),
        job.task,
        fn_args.serving_model_dir,
        pixels_of=lambda png: from_png(png, network.size),
        features=served.features,
        decision=decision,
        explain=explain,
        box_threshold=located.choice.threshold if located is not None else 0.0,
        about={
            "name": job.name,
            "backbone": job.model.backbone,
            "weights": job.weights.to_dict(),
            "synthetic": job.synthetic,
            "data": data,
            "seeds": list(job.training.seeds),
            "operating_point": facts["operating_point"],
            "optimised": optimised,
            "boxes": boxes,
        },
    )


@dataclass(frozen=True)
class _OnValidation:
    """Predictions on validation, and what was chosen on them.

    Attributes:
      predictions: of the members; of a located task with the evidence of their boxes.
      targets: float32 [n, classes].
      positive: int [n], 1, 0 or -1.
      calibrated: temperature, operating point, band.
      located: boxes of a located task.
    """

    predictions: EnsemblePredictions
    targets: np.ndarray
    positive: np.ndarray
    calibrated: CalibrationResult
    located: "CalibratedDetector | None"


def _calibrate(
    job: Job, predictions: EnsemblePredictions, dense: "TrainedDetectors | None", val: Embeddings
) -> _OnValidation:
    """Chooses on validation all that is chosen there."""
    from core.models.detector.score_fusion import fit_score_fusion
    from core.training.detector.phase import choose_boxes

    records, counts = val.records, val.records.box_counts
    targets = class_targets(records.pathogen, job.task, counts)
    known = zip(records.pathogen.tolist(), counts.tolist(), strict=True)
    positive = np.array([job.task.binary_label(*record) for record in known])
    if dense is None:
        calibrated = calibrate(predictions.logits, targets, positive, job.task, job.evaluation)
        return _OnValidation(predictions, targets, positive, calibrated, None)
    evidence = fit_score_fusion(predictions.logits, dense.strongest, positive)
    predictions = EnsemblePredictions.from_logits(
        evidence.fuse(predictions.logits, dense.strongest)
    )
    calibrated = calibrate(predictions.logits, targets, positive, job.task, job.evaluation)
    located = choose_boxes(job, dense, evidence, val, calibrated.score)
    return _OnValidation(predictions, targets, positive, calibrated, located)


def _train_detectors(
    job: Job,
    network: ClassifierNetwork,
    trained: TrainedEnsemble,
    scratch: Path,
    folder: Path,
    fn_args: "FnArgs",
) -> "TrainedDetectors":
    """Trains the dense heads of a located task; their curves become a phase of each seed."""
    from core.training.detector.phase import fit_detectors

    outputs = {seed: output_paths(job, folder, fn_args, seed) for seed in job.training.seeds}
    dense = fit_detectors(job, network, trained.train, trained.val, scratch, outputs)
    for seed, curves in dense.curves.items():
        trained.phases[seed]["detector"] = curves
    return dense


def _optimised(network: AnyNetwork) -> tuple[AnyNetwork, dict[str, Any]]:
    """Folds batch normalization if the outputs stay within BOUND."""
    from serving.export.difference import BOUND, difference

    folded = network.folded()
    apart = difference(network, folded, network.size)
    if apart <= BOUND:
        return folded, {"batch_norm_folded": True, "difference": apart}
    log.warning(
        "folding batch norm would change a probability by %.1e (bound %.0e); exported without",
        apart,
        BOUND,
    )
    return network, {"batch_norm_folded": False, "difference": apart}


def _explained(
    network: ClassifierNetwork, job: Job, decision: "DecisionRule", val: Embeddings
) -> "tuple[Callable[[tf.Tensor], Explanation], dict[str, Any]]":
    """Returns the heat map of a classifier, and the facts of its weak boxes."""
    from core.images.boxes import fit_boxes
    from core.models.explain.explain_fn import build_explain_fn, reference_map
    from core.models.explain.heat_threshold import FEWEST, HeatThreshold, select_heat_threshold

    records, part, reference, healthy = val.records, HeatThreshold(), None, 0
    if val.plain is not None:
        pixels, rows = val.plain
        counts = records.box_counts
        chosen = [
            job.task.binary_label(str(records.pathogen[i]), int(counts[i])) == 0 for i in rows
        ]
        healthy = sum(chosen)
        if healthy >= FEWEST:
            reference = reference_map(network, job.task, pixels[np.array(chosen)])
    if val.marked is not None:
        pixels, rows = val.marked
        truth = [
            fit_boxes(
                records.boxes[i], records.height[i], records.width[i], job.model.fit, job.size
            )
            for i in rows
        ]
        explain = build_explain_fn(network, job.task, decision, reference=reference)
        part = select_heat_threshold(explain, pixels, truth)
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
    return build_explain_fn(network, job.task, decision, part.part, reference), facts
