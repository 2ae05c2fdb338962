"""Metrics of the boxes, and the images to show with them."""

from typing import Any

import numpy as np

from core.metrics.boxes import froc
from core.metrics.boxes.challenge import OVERLAPS, challenge_scores
from core.metrics.boxes.iou import box_area
from core.metrics.boxes.matching import match_boxes, pad_boxes
from core.metrics.registry import BOXES
from core.predictions.metrics import box_intervals
from core.predictions.predictions import SplitPredictions
from core.reporting.format import intervals
from core.reporting.report.example_images import example_rows


def box_section(
    test: SplitPredictions,
    val: SplitPredictions | None,
    chosen: dict[str, Any] | None,
    resamples: int,
    seed: int,
) -> dict[str, Any] | None:
    """Computes the part `boxes` of the report; None if the model predicts no boxes.

    Returns:
      `threshold`, `overlaps`, `chosen`, `counts` (see `box_counts`), `metrics` name -> interval,
      `flat` (metrics whose interval has zero width), `validation` (as `metrics`, or
      None), `rates` of FROC, `cases` (see `box_cases`).
    """
    metrics = box_intervals(test, resamples, seed)
    if not metrics:
        return None
    on_val = box_intervals(val, resamples, seed) if val is not None else {}
    return {
        "threshold": test.box_threshold,
        "overlaps": list(OVERLAPS),
        "chosen": chosen,
        "counts": box_counts(test),
        "metrics": intervals(metrics),
        "flat": [name for name in BOXES if metrics[name].low == metrics[name].high],
        "validation": intervals(on_val, BOXES) if on_val else None,
        "rates": list(froc.RATES),
        "cases": box_cases(test),
    }


def box_counts(predictions: SplitPredictions) -> dict[str, int]:
    """Counts images and boxes at the box threshold; a hit has an IoU above 0.40.

    Returns:
      `images`, `with_opacity` (images), `opacities`, `found` (opacities), `shown` (boxes), `false`
      (boxes), `without` (images without an opacity), `disturbed` (those of them with a box).
    """
    truth, boxes, _, hits = _matched(predictions)
    true, shown = (np.array([len(image) for image in rows]) for rows in (truth, boxes))
    n_hits = int(hits.sum())
    return {
        "images": len(predictions),
        "with_opacity": int((true > 0).sum()),
        "opacities": int(true.sum()),
        "found": n_hits,
        "shown": int(shown.sum()),
        "false": int(shown.sum()) - n_hits,
        "without": int((true == 0).sum()),
        "disturbed": int(((true == 0) & (shown > 0)).sum()),
    }


def box_cases(predictions: SplitPredictions) -> dict[str, list[dict[str, Any]]]:
    """Chooses images to show.

    Returns:
      `best`: highest challenge score first; `missed`: none of the opacities found, the largest
      opacity first; `false_alarms`: no opacity but a box, the highest score first. Rows have
      `sha256`, `filename`, `pathogen`, `score` of the image, `challenge`, `truth` (boxes), `boxes`
      and `box_scores` as shown, `hit` (of each box).
    """
    truth, boxes, scores, hits = _matched(predictions)
    challenge = challenge_scores(truth, boxes, scores)
    true = np.array([len(image) for image in truth])
    highest = np.array([row.max(initial=-1.0) for row in scores])
    largest = np.array([box_area(image).max(initial=0.0) for image in truth])
    any_hit = hits.any(axis=1) if hits.shape[1] else np.zeros(len(predictions), bool)

    def select(mask: np.ndarray, *keys: np.ndarray) -> list[dict[str, Any]]:
        at = np.flatnonzero(mask)
        at = at[np.lexsort([-key[at] for key in reversed(keys)])]
        return [
            {
                **row,
                "challenge": float(challenge[i]),
                "truth": truth[i].tolist(),
                "boxes": boxes[i].tolist(),
                "box_scores": scores[i].tolist(),
                "hit": hits[i, : len(boxes[i])].tolist(),
            }
            for row, i in zip(example_rows(predictions, at), at, strict=False)
        ]

    return {
        "best": select((true > 0) & any_hit, challenge, highest),
        "missed": select((true > 0) & ~any_hit, largest),
        "false_alarms": select((true == 0) & (highest >= 0), highest),
    }


def _matched(
    predictions: SplitPredictions,
) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray], np.ndarray]:
    """Returns true boxes, shown boxes, their scores, and which of them hit, bool [n, M]."""
    truth, shown = predictions.truth_boxes.tolist(), predictions.shown_boxes()
    boxes, scores = (rows.tolist() for rows in shown)
    hits = match_boxes(pad_boxes(truth, what="true box"), pad_boxes(boxes, scores), [froc.OVERLAP])
    return truth, boxes, scores, hits[:, 0]
