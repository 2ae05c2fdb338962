"""The last phase of a located task: a dense head for each seed, and what validation fixes."""

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
from core.training.detector.levels import FlattenedLevels, above_maps, channel_moments
from core.training.detector.train import AnnotatedImages, fit_detector, predict_boxes
from core.training.loop.curves import OutputPaths, TrainingCurves

if TYPE_CHECKING:
    import keras

    from core.training.job import Job


@dataclass(frozen=True)
class TrainedDetectors:
    """Dense heads, and what they say of validation.

    Attributes:
      locator: with the evidence of the pooled heads alone.
      boxes: of validation, float32 [n, MAX_BOXES, 4] in "model" coordinates; see `decode_boxes`.
      heat: of each, float32 [n, MAX_BOXES], best first, -1 after the last.
      curves: seed -> of the phase.
      facts: for `training.json`.
    """

    locator: DetectorNetwork
    boxes: np.ndarray
    heat: np.ndarray
    curves: dict[int, TrainingCurves]
    facts: dict[str, Any]

    @property
    def strongest(self) -> np.ndarray:
        """Heat of the strongest box of each validation image, [n]; -1 without one."""
        return self.heat[:, 0]


@dataclass(frozen=True)
class CalibratedDetector:
    """What the phase left.

    Attributes:
      locator: to be exported.
      choice: what validation fixed of boxes.
      nms_iou: of suppression.
      boxes: of validation, for each image float32 [m, 4], relative, best first; all of them, with
        scores below the threshold too.
      scores: of each.
      facts: for `training.json`.
    """

    locator: DetectorNetwork
    choice: BoxOperatingPoint
    nms_iou: float
    boxes: list[np.ndarray]
    scores: list[np.ndarray]
    facts: dict[str, Any]

    @property
    def about(self) -> dict[str, Any]:
        """What the SavedModel says of its boxes."""
        return {
            "kind": "detector",
            "nms_iou": self.nms_iou,
            "evidence": self.locator.evidence.to_dict(),
            **self.choice.to_dict(),
        }


def fit_detectors(
    job: "Job",
    network: ClassifierNetwork,
    train: Embeddings,
    val: Embeddings,
    scratch: Path,
    outputs: Mapping[int, OutputPaths],
) -> TrainedDetectors:
    """Trains a dense head for each seed on the stored maps, and asks them about validation.

    Args:
      job: of a located task.
      network: the heads for the image.
      train: maps at the first level with their views, and the boxes of each.
      val: likewise; view 0 alone is looked at.
      scratch: folder for the activations at higher levels; may go afterwards.
      outputs: seed -> where it writes.

    Raises:
      ValueError: the embeddings hold no maps or no boxes; the levels cannot be.
    """
    started = time.monotonic()
    options = job.model.detector
    if options is None or not train.maps or len(train.boxes) != len(train.maps):
        raise ValueError("a detector needs options, and embeddings with maps and boxes")
    pyramid = _pyramid(job, options)
    stored = _stored(options, pyramid, train, val, scratch)
    learn, judge = (
        AnnotatedImages(stored.train, train.boxes),
        AnnotatedImages((stored.val,), val.boxes[:1]),
    )
    shapes = stored.shapes
    detectors: list[DetectorMember] = []
    curves: dict[int, TrainingCurves] = {}
    told = []
    own = (lambda: _levels_above(_pyramid(job, options))) if options.train_backbone else None
    for seed, output in outputs.items():
        at = time.monotonic()
        detector, curves[seed] = fit_detector(
            learn, judge, shapes, stored.scaling, options, seed, output, own
        )
        detectors.append(detector)
        told.append(
            {
                "seed": seed,
                "epochs": len(curves[seed]),
                "best_epoch": curves[seed].best_epoch,
                "seconds": round(time.monotonic() - at, 3),
            }
        )
    locator = DetectorNetwork(pyramid.whole, len(shapes), network, tuple(detectors))
    boxes, heat = predict_boxes(detectors, judge.views[0], options.nms_iou)
    return TrainedDetectors(
        locator,
        boxes,
        heat,
        curves,
        {
            "options": options.model_dump(mode="json"),
            "levels": dict(zip(pyramid.levels, [list(shape) for shape in shapes], strict=True)),
            "grid": list(grid_size(shapes, options)),
            "parameters": int(sum(of.head.count_params() for of in detectors)),
            "members": told,
            "boxes": {
                name: int(of.records.box_counts.sum())
                for name, of in (("train", train), ("val", val))
            },
            "seconds": round(time.monotonic() - started, 3),
        },
    )


def choose_boxes(
    job: "Job", trained: TrainedDetectors, evidence: ScoreFusion, val: Embeddings, score: np.ndarray
) -> CalibratedDetector:
    """Fixes on validation which boxes are shown.

    Args:
      job: of a located task.
      trained: of `fit_detectors`.
      evidence: what joins heads and boxes for the image.
      val: as given to `fit_detectors`.
      score: float [n], calibrated joint probability of the validation images.
    """
    options = job.model.detector
    assert options is not None
    records, boxes, heat = val.records, trained.boxes, trained.heat

    def relative(found: np.ndarray) -> list[np.ndarray]:
        there = unfit_boxes(found, records.height, records.width, job.model.fit, job.size)
        kept = np.clip(there, 0, 1).astype(np.float32)
        return [row[of >= 0] for row, of in zip(kept, heat, strict=True)]

    choice = choose_box_operating_point(
        list(records.boxes), relative(boxes), [of[of >= 0] for of in heat], score
    )
    done, scores = (
        x.numpy()
        for x in apply_operating_point(
            boxes, heat, score.astype(np.float32), choice.combine, choice.shrink
        )
    )
    return CalibratedDetector(
        replace(trained.locator, evidence=evidence),
        choice,
        options.nms_iou,
        relative(done),
        [of[of >= 0] for of in scores],
        {**trained.facts, "choice": asdict(choice), "evidence": evidence.to_dict()},
    )


def _pyramid(job: "Job", options: DetectorOptions) -> FeaturePyramid:
    """The backbone as the Embedder had it: the seed is that of its random weights."""
    import keras

    keras.utils.set_random_seed(job.backbone.seed)
    return build_feature_pyramid(
        job.model.backbone, job.size, job.weights.file or None, options.levels
    )


def _levels_above(pyramid: FeaturePyramid) -> "keras.Model":
    """First level -> the other levels, without what only the heads for the image need."""
    import keras

    more = pyramid.above.outputs[: len(pyramid.levels) - 1]
    return keras.Model(pyramid.above.inputs, more, name="levels_above")


@dataclass(frozen=True)
class _Stored:
    """What the dense heads read.

    Attributes:
      train: view -> `FlattenedLevels`; maps at the first level if the backbone is trained.
      val: likewise, of the images themselves.
      shapes: of the levels.
      scaling: mean and deviation of the channels of each.
    """

    train: tuple[Any, ...]
    val: Any
    shapes: list[tuple[int, int, int]]
    scaling: list[tuple[np.ndarray, np.ndarray]]


def _stored(
    options: DetectorOptions,
    pyramid: FeaturePyramid,
    train: Embeddings,
    val: Embeddings,
    scratch: Path,
) -> _Stored:
    if len(pyramid.levels) == 1:
        packs, of_val = (
            [FlattenedLevels([view]) for view in train.maps],
            FlattenedLevels([val.maps[0]]),
        )
    else:
        above = _levels_above(pyramid)
        # Where the backbone learns, each step runs it anew; a sample tells shapes and scales.
        wanted = [train.maps[0][:256]] if options.train_backbone else train.maps
        packs = above_maps(above, wanted, scratch, "train")
        if not options.train_backbone:
            (of_val,) = above_maps(above, val.maps[:1], scratch, "val")
    first = packs[0]
    shapes = [(int(h), int(w), int(c)) for h, w, c in first.shapes]
    scaling = [channel_moments(array) for array in first.arrays]
    if options.train_backbone:
        return _Stored(train.maps, val.maps[0], shapes, scaling)
    return _Stored(tuple(packs), of_val, shapes, scaling)
