"""Heat maps of the exported model, and metrics of how well they locate opacities."""

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
    """Heat map and boxes that the model predicts for one image.

    Attributes:
      peak: center (y, x) of the cell with the highest value, relative to the displayed image; NaN
        if the heat map is zero everywhere.
      boxes: float64 [k, 4], ymin, xmin, ymax, xmax, relative to the displayed image.
      scores: float64 [k].
      heat: float32 [h, w], 0..1; only for images that are shown.
      content: bytes of the image file; only for images that are shown.
    """

    peak: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray
    heat: np.ndarray | None = None
    content: bytes = b""


@dataclass(frozen=True)
class HeatMaps:
    """Heat maps and boxes of test images.

    Attributes:
      facts: entry `boxes` of the model's `pneumo.json`, such as kind and threshold.
      localizations: image id -> heat map and boxes.
    """

    facts: dict[str, Any] = field(default_factory=dict)
    localizations: dict[str, Localization] = field(default_factory=dict)

    @property
    def one_cell(self) -> bool:
        """Whether the maps have a single cell, which says nothing about the location."""
        return any(x.heat is not None and x.heat.size == 1 for x in self.localizations.values())


def needs_localization(predictions: SplitPredictions) -> np.ndarray:
    """Returns the images that the metrics of weak boxes depend on, bool [n].

    These are the images with a marked opacity and those predicted positive; all others have neither
    a marked nor a predicted box. No image is needed if the split has no marked opacity.
    """
    marked = _marked(predictions)
    return (marked | (predictions.predicted_positive == 1)) & marked.any()


def run_explainer(
    explain: Any, files: Iterable[str], shown: set[str], measured: set[str]
) -> dict[str, Localization]:
    """Runs the model on images of a split, one batch at a time.

    Args:
      explain: signature `explain` of the loaded SavedModel.
      files: gzip TFRecords of raw records.
      shown: ids of images whose heat is kept.
      measured: ids of images whose boxes are kept without the heat map.

    Returns:
      image id -> heat map and boxes; without the images that the model rejects.
    """
    import tensorflow as tf

    localizations: dict[str, Localization] = {}
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
            localizations[name] = Localization(
                points[i],
                rows["boxes"][i][valid].astype(np.float64) / size,
                rows["box_scores"][i][valid].astype(np.float64),
                *((rows["heatmap"][i], content) if name in shown else ()),
            )
    return localizations


def heat_map_section(
    predictions: SplitPredictions, heat: HeatMaps | None, resamples: int, seed: int
) -> dict[str, Any] | None:
    """Computes the part `explain` of the report; None without heat maps.

    Returns:
      `one_cell` alone if the maps have one cell. Otherwise `kind`, `facts` (see `HeatMaps`),
      `shown` (number of images drawn), `right` (see `example_images.correct`). If the boxes are
      weak and the split has marked opacities, also `metrics`, name -> interval, and `counts`:
      `images` with opacities, `opacities`, `called` (those of the images that are predicted
      positive).
    """
    if heat is None:
        return None
    if heat.one_cell:
        return {"one_cell": True}
    section: dict[str, Any] = {
        "kind": heat.facts.get("kind", ""),
        "facts": heat.facts,
        "shown": sum(one.heat is not None for one in heat.localizations.values()),
        "right": correct(predictions),
    }
    marked = _marked(predictions)
    if predictions.predicts_boxes or not marked.any():
        return section
    empty = Localization(np.full(2, np.nan), np.zeros((0, 4)), np.zeros(0))
    localizations = [heat.localizations.get(name, empty) for name in predictions.sha256.tolist()]
    statistics, shares = localization_statistics(predictions.truth_boxes.tolist(), localizations)
    measured = clustered_bootstrap(
        statistics, predictions.patient, shares=shares, resamples=resamples, seed=seed
    )
    return section | {
        "counts": {
            "images": int(marked.sum()),
            "opacities": int(sum(map(len, predictions.truth_boxes))),
            "called": int((predictions.predicted_positive[marked] == 1).sum()),
        },
        "metrics": intervals(measured, HEAT),
    }


def localization_statistics(
    truth: list[np.ndarray], localizations: list[Localization]
) -> tuple[Statistics, dict[str, np.ndarray]]:
    """Returns the metrics as a function of image weights, and which of them are shares.

    pointing: share of images with an opacity whose peak lies on one.
    iou: mean over opacities of the largest IoU with a box, 0 without one.
    challenge, box_sensitivity, false_boxes: see core.metrics.boxes.summary.
    """
    boxes, scores = [one.boxes for one in localizations], [one.scores for one in localizations]
    box_metrics, _ = box_statistics(truth, boxes, scores, 0.0)
    hits = pointing_hits(truth, np.array([one.peak for one in localizations]).reshape(-1, 2))
    marked = np.isfinite(hits)
    opacities = np.array([len(rows) for rows in truth], np.float64)
    overlap = np.array(
        [box_iou(t, b).max(axis=1, initial=0.0).sum() for t, b in zip(truth, boxes, strict=True)]
    )

    def metrics(w: np.ndarray) -> dict[str, np.ndarray]:
        with np.errstate(divide="ignore", invalid="ignore"):
            return {
                **box_metrics(w),
                "pointing": (w @ np.where(marked, hits, 0)) / (w @ marked),
                "iou": (w @ overlap) / (w @ opacities),
            }

    return metrics, {"pointing": marked}


def _marked(predictions: SplitPredictions) -> np.ndarray:
    return np.array([len(boxes) > 0 for boxes in predictions.truth_boxes], bool)
