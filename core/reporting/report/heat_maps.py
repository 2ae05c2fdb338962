"""Heat maps of the exported model, and how well they locate opacities."""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from core.metrics.bootstrap import Statistics, clustered_bootstrap
from core.metrics.boxes.iou import box_iou
from core.metrics.boxes.pointing import heat_map_peaks, pointing_hits
from core.metrics.boxes.summary import box_statistics
from core.metrics.registry import HEAT
from core.predictions.predictions import SplitPredictions
from core.reporting.format import intervals
from core.reporting.records import read_images
from core.reporting.report.example_images import correct

_BATCH = 16


@dataclass(frozen=True)
class Localization:
    """Locations that the model predicts in one image.

    Attributes:
      peak: centre (y, x) of the hottest cell, 0..1 of the displayed image; NaN if there is no heat.
      boxes: float64 [k, 4], ymin, xmin, ymax, xmax, relative to the displayed image.
      scores: float64 [k].
      heat: float32 [h, w], 0..1; only of images that are shown.
      content: the image file; likewise.
    """

    peak: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray
    heat: np.ndarray | None = None
    content: bytes = b""


@dataclass(frozen=True)
class HeatMaps:
    """Locations in test images.

    Attributes:
      facts: `boxes` of the model's facts: kind, threshold.
      places: id of an image -> locations.
    """

    facts: dict[str, Any] = field(default_factory=dict)
    places: dict[str, Localization] = field(default_factory=dict)


def needs_localization(answers: SplitPredictions) -> np.ndarray:
    """Returns which images the numbers of weak boxes need, bool [n]; none without marked opacities.

    Those with a marked opacity and those predicted positive: all others have neither a marked nor a
    predicted box.
    """
    marked = _marked(answers)
    return (marked | (answers.predicted_positive == 1)) & marked.any()


def run_explainer(
    explain: Any, files: Iterable[str], shown: set[str], measured: set[str]
) -> dict[str, Localization]:
    """Runs the model on images of a split, one batch at a time.

    Args:
      explain: signature `explain` of the loaded SavedModel.
      files: gzip TFRecords of raw records.
      shown: ids of images whose heat is kept.
      measured: ids of images of which only the boxes are kept.

    Returns:
      id -> locations; images that the model rejects are missing.
    """
    import tensorflow as tf

    found: dict[str, Localization] = {}
    source = read_images(files, shown | measured)
    while batch := list(itertools.islice(source, _BATCH)):
        output = explain(image_bytes=tf.constant([content for _, content in batch]))
        rows = {name: value.numpy() for name, value in output.items()}
        points = heat_map_peaks(rows["heatmap"])
        for i, (name, content) in enumerate(batch):
            if rows["status"][i] != b"OK":
                continue
            valid = rows["box_scores"][i] >= 0
            size = np.array([rows["image_height"][i], rows["image_width"][i]] * 2, np.float64)
            found[name] = Localization(
                points[i],
                rows["boxes"][i][valid].astype(np.float64) / size,
                rows["box_scores"][i][valid].astype(np.float64),
                *((rows["heatmap"][i], content) if name in shown else ()),
            )
    return found


def heat_map_section(
    answers: SplitPredictions, heat: HeatMaps | None, resamples: int, seed: int
) -> dict[str, Any] | None:
    """Computes the part `explain` of the report; None without heat maps.

    Returns:
      `kind`, `facts` (of the model's boxes), `shown` (number of images drawn), `right` (see
      `selection.correct`); if boxes are weak and test has marked opacities also `counts` (`images`,
      `opacities`, `called` of these images) and `metrics`, name -> interval.
    """
    if heat is None:
        return None
    found: dict[str, Any] = {
        "kind": heat.facts.get("kind", ""),
        "facts": heat.facts,
        "shown": sum(one.heat is not None for one in heat.places.values()),
        "right": correct(answers),
    }
    marked = _marked(answers)
    if answers.predicts_boxes or not marked.any():
        return found
    nowhere = Localization(np.full(2, np.nan), np.zeros((0, 4)), np.zeros(0))
    places = [heat.places.get(name, nowhere) for name in answers.sha256.tolist()]
    statistics, shares = localization_statistics(answers.truth_boxes.tolist(), places)
    measured = clustered_bootstrap(
        statistics, answers.patient, shares=shares, resamples=resamples, seed=seed
    )
    return found | {
        "counts": {
            "images": int(marked.sum()),
            "opacities": int(sum(map(len, answers.truth_boxes))),
            "called": int((answers.predicted_positive[marked] == 1).sum()),
        },
        "metrics": intervals(measured, HEAT),
    }


def localization_statistics(
    truth: list[np.ndarray], places: list[Localization]
) -> tuple[Statistics, dict[str, np.ndarray]]:
    """Returns the metrics of `heat_map_section` as a function of image weights, and their shares.

    pointing: share of images with an opacity whose hottest cell lies on one.
    iou: mean over opacities of the largest IoU with a box, 0 without one.
    challenge, box_sensitivity, false_boxes: see core.metrics.boxes.summary.
    """
    boxes, scores = [one.boxes for one in places], [one.scores for one in places]
    of_boxes, _ = box_statistics(truth, boxes, scores, 0.0)
    hits = pointing_hits(truth, np.array([one.peak for one in places]).reshape(-1, 2))
    marked = np.isfinite(hits)
    opacities = np.array([len(rows) for rows in truth], np.float64)
    overlap = np.array(
        [box_iou(t, b).max(axis=1, initial=0.0).sum() for t, b in zip(truth, boxes, strict=True)]
    )

    def numbers(w: np.ndarray) -> dict[str, np.ndarray]:
        with np.errstate(divide="ignore", invalid="ignore"):
            return {
                **of_boxes(w),
                "pointing": (w @ np.where(marked, hits, 0)) / (w @ marked),
                "iou": (w @ overlap) / (w @ opacities),
            }

    return numbers, {"pointing": marked}


def _marked(answers: SplitPredictions) -> np.ndarray:
    return np.array([len(boxes) > 0 for boxes in answers.truth_boxes], bool)
