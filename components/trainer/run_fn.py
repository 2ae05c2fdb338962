"""Entry point of the Trainer: trains the ensemble, calibrates on validation, exports the model."""

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
from core.training.data.targets import class_targets
from core.training.data.teacher import images_digest
from core.training.ensemble import TrainedEnsemble, fold_paths, output_paths, train_ensemble
from core.training.ensemble_predictions import EnsemblePredictions, write_predictions
from core.training.fingerprint import checkpoint_folder
from core.training.job import Job, tuned_values
from core.training.loop.curves import write_histories
from core.training.options import TrainerOptions
from core.training.shifted_validation.results import write_shifted_validation
from core.training.shifted_validation.rules import pooled_folds
from core.training.shifted_validation.train import ShiftedValidation, train_folds
from core.training.summary import (
    add_member_metrics,
    member_correlation,
    model_summary,
    training_summary,
)
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
    """Trains the model, writes the SavedModel and the training record.

    Args:
      fn_args: `custom_config` is a `TrainerOptions`. The SavedModel goes to
        `serving_model_dir`; curves, validation predictions, TensorBoard logs and `training.json`
        go to `model_run_dir`.
    """
    started = time.monotonic()
    options = TrainerOptions.model_validate(fn_args.custom_config)
    job = Job.resolve(options, tuned_values(fn_args.hyperparameters))
    folder = Path(fn_args.model_run_dir)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as name:
        scratch = Path(name)
        trained = train_ensemble(job, scratch, folder, fn_args)
        detectors = None
        if job.task.located:
            detectors = _train_detectors(job, trained, scratch, folder, fn_args)
        shifted = train_folds(job, trained, lambda name: fold_paths(job, folder, fn_args, name))
        validation = _calibrate(job, trained.predictions, detectors, trained.val, shifted)
        _write_record(folder, job, trained, validation, shifted)
    _export(job, trained, validation, fn_args)
    trained.summary["seconds"]["all"] = round(time.monotonic() - started, 3)
    (folder / "training.json").write_text(json.dumps(trained.summary, indent=1))
    storage.remove(checkpoint_folder(job, fn_args))


def _train_detectors(
    job: Job,
    trained: TrainedEnsemble,
    scratch: Path,
    folder: Path,
    fn_args: "FnArgs",
) -> "TrainedDetectors":
    """Trains the dense heads of a detection task; adds their curves to each seed's phases."""
    from core.training.detector.phase import fit_detectors

    paths = output_paths(job, folder, fn_args)
    outputs = {seed: paths(seed) for seed in job.training.seeds}
    detectors = fit_detectors(job, trained.network, trained.train, trained.val, scratch, outputs)
    for seed, curves in detectors.curves.items():
        trained.phases[str(seed)]["detector"] = curves
    return detectors


@dataclass(frozen=True)
class _Validation:
    """Predictions on the validation split and everything that was chosen on them.

    Attributes:
      predictions: of the ensemble members; for a detection task fused with the strongest box.
      targets: float32 [n, classes], 1 for each class that the record may belong to.
      positive: int [n]: 1, 0, or -1 if unknown.
      calibrated: temperature, operating point and referral band.
      detector: calibrated boxes of a detection task; None otherwise.
    """

    predictions: EnsemblePredictions
    targets: np.ndarray
    positive: np.ndarray
    calibrated: CalibrationResult
    detector: "CalibratedDetector | None"


def _calibrate(
    job: Job,
    predictions: EnsemblePredictions,
    detectors: "TrainedDetectors | None",
    val: Embeddings,
    shifted: ShiftedValidation | None,
) -> _Validation:
    from core.models.detector.score_fusion import fit_score_fusion
    from core.training.detector.phase import calibrate_detector

    targets = class_targets(val.records.pathogen, job.task, val.records.box_counts)
    positive = val.records.binary_labels(job.task)
    if detectors is None:
        pool = pooled_folds(job, shifted, positive)
        calibrated = calibrate(
            predictions.logits, targets, positive, job.task, job.evaluation, pool
        )
        return _Validation(predictions, targets, positive, calibrated, None)
    fusion = fit_score_fusion(predictions.logits, detectors.strongest, positive)
    predictions = EnsemblePredictions.from_logits(
        fusion.fuse(predictions.logits, detectors.strongest)
    )
    calibrated = calibrate(predictions.logits, targets, positive, job.task, job.evaluation)
    detector = calibrate_detector(job, detectors, fusion, val, calibrated.score)
    return _Validation(predictions, targets, positive, calibrated, detector)


def _write_record(
    folder: Path,
    job: Job,
    trained: TrainedEnsemble,
    validation: _Validation,
    shifted: ShiftedValidation | None,
) -> None:
    """Writes curves, validation predictions and the model summary; completes `trained.summary`."""
    predictions, detector = validation.predictions, validation.detector
    if detector is not None:
        trained.summary["detector"] = detector.summary
        trained.summary["seconds"]["detector"] = detector.summary["seconds"]
    if shifted is not None:
        write_shifted_validation(
            folder, job, shifted, trained.val.records, predictions, validation.calibrated
        )
        trained.summary["seconds"]["shifted_validation"] = shifted.seconds
    write_histories(folder, trained.phases)
    write_predictions(
        folder / "val_predictions.parquet",
        trained.val.records,
        predictions,
        validation.calibrated,
        job.task,
        {"boxes": detector.boxes, "box_scores": detector.scores} if detector else None,
    )
    add_member_metrics(
        trained.summary["members"],
        predictions,
        validation.positive,
        validation.targets,
        job.task,
    )
    trained.summary["log_odds_correlation"] = member_correlation(predictions, job.task)
    trained.summary.update(
        training_summary(job, trained.train, trained.val, trained.network, validation.calibrated)
    )
    (folder / "model_summary.txt").write_text(model_summary(trained.network))


def _export(job: Job, trained: TrainedEnsemble, validation: _Validation, fn_args: "FnArgs") -> None:
    """Writes the SavedModel."""
    import tensorflow_transform as tft

    from core.images.resize_tf import from_png
    from core.models.decision_rule import DecisionRule
    from core.models.detector.network import build_detector_explain_fn
    from serving.export.saved_model import export

    calibration, detector = validation.calibrated.summary, validation.detector
    rule = DecisionRule(calibration["temperature"], calibration["threshold"], calibration["band"])
    exported: ClassifierNetwork | DetectorNetwork
    if detector is not None:
        exported, optimized = _fold_batch_norm(detector.network)
        explain = build_detector_explain_fn(
            exported, job.task, rule, detector.operating_point, detector.nms_iou
        )
        boxes = detector.saved_model_info
    else:
        exported, optimized = _fold_batch_norm(trained.network)
        explain, boxes = _build_explain_fn(exported, job, rule, trained.val)
    data: dict[str, int | str] = {}
    for split, embeddings in (("training", trained.train), ("validation", trained.val)):
        data[f"{split}_images"] = len(embeddings)
        data[f"{split}_sha256"] = images_digest(embeddings.records.sha256)
        data[f"{split}_patients"] = len(set(embeddings.records.patient_id.tolist()))
    export(
        exported,
        exported.variables,
        exported.size,
        tft.TFTransformOutput(fn_args.transform_output),
        job.task,
        fn_args.serving_model_dir,
        decode_png=lambda png: from_png(png, exported.size),
        features=exported.features,
        decision=rule,
        explain=explain,
        box_threshold=detector.operating_point.threshold if detector is not None else 0.0,
        metadata={
            "name": job.name,
            "backbone": job.backbone_names,
            "weights": job.weights.to_dict(),
            "members": trained.described_members,
            "synthetic": job.synthetic,
            "data": data,
            "teacher_sha256": job.teacher_sha256,
            "seeds": list(job.training.seeds),
            "forward_passes": trained.summary["forward_passes"],  # of each member, for one image
            "operating_point": calibration["operating_point"],
            "optimised": optimized,
            "boxes": boxes,
        },
    )


def _fold_batch_norm(network: AnyNetwork) -> tuple[AnyNetwork, dict[str, Any]]:
    """Folds batch normalization if the outputs stay within BOUND."""
    from serving.export.difference import BOUND, difference

    folded = network.folded()
    largest = difference(network, folded, network.size)
    if largest <= BOUND:
        return folded, {"batch_norm_folded": True, "difference": largest}
    log.warning(
        "batch normalization is not folded into the exported model: a probability would change by "
        "%.1e (bound %.0e)",
        largest,
        BOUND,
    )
    return network, {"batch_norm_folded": False, "difference": largest}


def _build_explain_fn(
    network: ClassifierNetwork, job: Job, rule: "DecisionRule", val: Embeddings
) -> "tuple[Callable[[tf.Tensor], Explanation], dict[str, Any]]":
    """Returns the explain function of a classifier and the description of its weak boxes."""
    from core.images.boxes import fit_boxes
    from core.models.explain.explain_fn import build_explain_fn, reference_map
    from core.models.explain.heat_threshold import (
        MIN_IMAGES,
        HeatThreshold,
        select_heat_threshold,
    )

    records, threshold, reference, negatives = val.records, HeatThreshold(), None, 0
    if val.unboxed_sample is not None:
        pixels, rows = val.unboxed_sample
        negative = records.binary_labels(job.task)[rows] == 0
        negatives = int(negative.sum())
        if negatives >= MIN_IMAGES:
            reference = reference_map(network, job.task, pixels[negative])
    if val.boxed_sample is not None:
        pixels, rows = val.boxed_sample
        true_boxes = [
            fit_boxes(
                records.boxes[i], records.height[i], records.width[i], job.model.fit, job.size
            )
            for i in rows
        ]
        true_boxes = [boxes[~np.isnan(boxes[:, 0])] for boxes in true_boxes]
        explain = build_explain_fn(network, job.task, rule, reference=reference)
        threshold = select_heat_threshold(explain, pixels, true_boxes)
    info = {
        "kind": "weak",
        "threshold": threshold.fraction,
        "threshold_is": "part of the image's greatest heat",
        "image_threshold": rule.threshold,
        "shrink": 1.0,
        "nms_iou": None,
        "chosen": threshold.to_dict(),
        # Negative validation images in the reference map; 0 if there were too few for one.
        "reference_images": negatives if reference is not None else 0,
    }
    return build_explain_fn(network, job.task, rule, threshold.fraction, reference), info
