"""Exports the trained model: folded network, explain function and metadata."""

import logging
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from components.trainer.validation import CalibratedValidation
from core.embedding.store import Embeddings
from core.models.classifier import ClassifierNetwork
from core.training.data.teacher import images_digest
from core.training.ensemble import TrainedEnsemble
from core.training.job import Job

if TYPE_CHECKING:
    from collections.abc import Callable

    import tensorflow as tf
    from tfx.v1.components import FnArgs

    from core.models.decision_rule import DecisionRule
    from core.models.detector.network import DetectorNetwork
    from core.models.explain.explanation import Explanation

AnyNetwork = TypeVar("AnyNetwork", ClassifierNetwork, "DetectorNetwork")

log = logging.getLogger("pneumo.trainer")


def export_model(
    job: Job, trained: TrainedEnsemble, validation: CalibratedValidation, fn_args: "FnArgs"
) -> None:
    """Writes the SavedModel to `fn_args.serving_model_dir`.

    Args:
      job: configuration.
      trained: network and data.
      validation: calibration, and the detector of a detection task.
      fn_args: transform graph and destination.
    """
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
