"""Detector phase of a detection task: trains a dense head per seed and calibrates the boxes."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.embedding.store import Embeddings
from core.images.boxes import unfit_boxes
from core.metrics.boxes.operating_point import BoxOperatingPoint, choose_box_operating_point
from core.models.classifier import ClassifierNetwork
from core.models.detector.decode import apply_operating_point
from core.models.detector.feature_pyramid import FeaturePyramid, build_feature_pyramid
from core.models.detector.head import grid_size
from core.models.detector.network import DetectorMember, DetectorNetwork
from core.models.detector.score_fusion import ScoreFusion
from core.models.options import DetectorOptions
from core.training.detector.levels import FlattenedLevels, channel_moments, store_levels
from core.training.detector.train import AnnotatedImages, fit_detector, predict_boxes
from core.training.loop.curves import OutputPaths, TrainingCurves

if TYPE_CHECKING:
    import keras

    from core.training.job import Job


@dataclass(frozen=True)
class TrainedDetectors:
    """Trained dense heads and their predictions on validation.

    Attributes:
      network: scores the image with the classification heads only.
      boxes: of validation, float32 [n, MAX_BOXES, 4] in "model" coordinates; see `decode_boxes`.
      heat: of each box, float32 [n, MAX_BOXES], descending, -1 after the last.
      curves: seed -> curves of the phase.
      summary: for `training.json`.
    """

    network: DetectorNetwork
    boxes: np.ndarray
    heat: np.ndarray
    curves: dict[int, TrainingCurves]
    summary: dict[str, Any]

    @property
    def strongest(self) -> np.ndarray:
        """Heat of the strongest box of each validation image, [n]; -1 if it has no box."""
        return self.heat[:, 0]


@dataclass(frozen=True)
class CalibratedDetector:
    """A detector with the operating point of its boxes, and its boxes on validation.

    Attributes:
      network: the network to export.
      operating_point: of the boxes.
      nms_iou: threshold of non-maximum suppression.
      boxes: of each validation image, float32 [m, 4], relative, best first; includes boxes below
        the threshold.
      scores: of each box.
      summary: for `training.json`.
    """

    network: DetectorNetwork
    operating_point: BoxOperatingPoint
    nms_iou: float
    boxes: list[np.ndarray]
    scores: list[np.ndarray]
    summary: dict[str, Any]

    @property
    def saved_model_info(self) -> dict[str, Any]:
        """Description of the boxes in the SavedModel."""
        return {
            "kind": "detector",
            "nms_iou": self.nms_iou,
            "evidence": self.network.fusion.to_dict(),
            **self.operating_point.to_dict(),
        }


def fit_detectors(
    job: "Job",
    network: ClassifierNetwork,
    train: Embeddings,
    val: Embeddings,
    scratch: Path,
    outputs: Mapping[int, OutputPaths],
) -> TrainedDetectors:
    """Trains a dense head for each seed on the stored maps and predicts boxes on validation.

    Args:
      job: of a detection task.
      network: the classification heads.
      train: embeddings with maps at the first level and boxes, of all views.
      val: likewise; only view 0 is used.
      scratch: temporary folder for the activations at higher levels.
      outputs: seed -> checkpoint and log folders.

    Raises:
      ValueError: the embeddings have no maps or no boxes, or the levels are invalid.
    """
    started = time.monotonic()
    options = job.model.detector
    if options is None or not train.maps or len(train.boxes) != len(train.maps):
        raise ValueError(
            "a detector needs model.detector and embeddings with maps and boxes of every view"
        )
    pyramid = _build_pyramid(job, options)
    stored = _store(options, pyramid, train, val, scratch)
    train_images, val_images = (
        AnnotatedImages(stored.train, train.boxes),
        AnnotatedImages((stored.val,), val.boxes[:1]),
    )
    shapes = stored.shapes
    detectors: list[DetectorMember] = []
    curves: dict[int, TrainingCurves] = {}
    members = []
    above = None
    if options.train_backbone:
        above = lambda: _levels_above(_build_pyramid(job, options))  # noqa: E731
    for seed, output in outputs.items():
        seed_started = time.monotonic()
        detector, curves[seed] = fit_detector(
            train_images, val_images, shapes, stored.scaling, options, seed, output, above
        )
        detectors.append(detector)
        members.append(
            {
                "seed": seed,
                "epochs": len(curves[seed]),
                "best_epoch": curves[seed].best_epoch,
                "seconds": round(time.monotonic() - seed_started, 3),
            }
        )
    detector_network = DetectorNetwork(pyramid.whole, len(shapes), network, tuple(detectors))
    boxes, heat = predict_boxes(detectors, val_images.views[0], options.nms_iou)
    return TrainedDetectors(
        detector_network,
        boxes,
        heat,
        curves,
        {
            "options": options.model_dump(mode="json"),
            "levels": dict(zip(pyramid.levels, [list(shape) for shape in shapes], strict=True)),
            "grid": list(grid_size(shapes, options)),
            "parameters": int(sum(detector.head.count_params() for detector in detectors)),
            "members": members,
            "boxes": {
                name: int(split.records.box_counts.sum())
                for name, split in (("train", train), ("val", val))
            },
            "seconds": round(time.monotonic() - started, 3),
        },
    )


def calibrate_detector(
    job: "Job", trained: TrainedDetectors, fusion: ScoreFusion, val: Embeddings, score: np.ndarray
) -> CalibratedDetector:
    """Chooses the operating point of the boxes on validation.

    Args:
      job: of a detection task.
      trained: result of `fit_detectors`.
      fusion: combines the image score of the heads and the strongest box.
      val: embeddings of the validation split.
      score: float [n], calibrated fused probability of the validation images.
    """
    options = job.model.detector
    assert options is not None
    records, boxes, heat = val.records, trained.boxes, trained.heat

    def relative(model_boxes: np.ndarray) -> list[np.ndarray]:
        unfitted = unfit_boxes(model_boxes, records.height, records.width, job.model.fit, job.size)
        clipped = np.clip(unfitted, 0, 1).astype(np.float32)
        return [row[row_heat >= 0] for row, row_heat in zip(clipped, heat, strict=True)]

    operating_point = choose_box_operating_point(
        list(records.boxes), relative(boxes), [row[row >= 0] for row in heat], score
    )
    final_boxes, scores = (
        x.numpy()
        for x in apply_operating_point(
            boxes, heat, score.astype(np.float32), operating_point.combine, operating_point.shrink
        )
    )
    return CalibratedDetector(
        replace(trained.network, fusion=fusion),
        operating_point,
        options.nms_iou,
        relative(final_boxes),
        [row[row >= 0] for row in scores],
        {**trained.summary, "choice": asdict(operating_point), "evidence": fusion.to_dict()},
    )


def _build_pyramid(job: "Job", options: DetectorOptions) -> FeaturePyramid:
    # The Embedder's seed gives the same random weights.
    import keras

    keras.utils.set_random_seed(job.backbone.seed)
    return build_feature_pyramid(
        job.model.backbone, job.size, job.weights.file or None, options.levels
    )


def _levels_above(pyramid: FeaturePyramid) -> "keras.Model":
    """Returns the model first level -> other levels, without the backbone's final output."""
    import keras

    outputs = pyramid.above.outputs[: len(pyramid.levels) - 1]
    return keras.Model(pyramid.above.inputs, outputs, name="levels_above")


@dataclass(frozen=True)
class _StoredLevels:
    """Inputs of the dense heads.

    Attributes:
      train: view -> `FlattenedLevels`; maps at the first level if the backbone is trained.
      val: likewise, of view 0.
      shapes: (h, w, channels) of each level.
      scaling: mean and standard deviation of the channels of each level.
    """

    train: tuple[Any, ...]
    val: Any
    shapes: list[tuple[int, int, int]]
    scaling: list[tuple[np.ndarray, np.ndarray]]


def _store(
    options: DetectorOptions,
    pyramid: FeaturePyramid,
    train: Embeddings,
    val: Embeddings,
    scratch: Path,
) -> _StoredLevels:
    if len(pyramid.levels) == 1:
        train_views, val_view = (
            [FlattenedLevels([view]) for view in train.maps],
            FlattenedLevels([val.maps[0]]),
        )
    else:
        above = _levels_above(pyramid)
        # A trained backbone runs in each step; a sample is enough for shapes and scaling.
        maps = [train.maps[0][:256]] if options.train_backbone else train.maps
        train_views = store_levels(above, maps, scratch, "train")
        if not options.train_backbone:
            (val_view,) = store_levels(above, val.maps[:1], scratch, "val")
    first = train_views[0]
    shapes = [(int(h), int(w), int(c)) for h, w, c in first.shapes]
    scaling = [channel_moments(array) for array in first.arrays]
    if options.train_backbone:
        return _StoredLevels(train.maps, val.maps[0], shapes, scaling)
    return _StoredLevels(tuple(train_views), val_view, shapes, scaling)
