"""Numbers of the boxes, and the images to show with them."""

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
from core.reporting.report.example_images import rows


def box_section(
    test: SplitPredictions,
    val: SplitPredictions | None,
    chosen: dict[str, Any] | None,
    resamples: int,
    seed: int,
) -> dict[str, Any] | None:
    """Computes the part `boxes` of the report; None if the model predicts no boxes.

    Returns:
      `threshold`, `overlaps`, `chosen`, `counts` (see `counts`), `metrics` name -> interval, `flat`
      (names whose interval has no width), `validation` as `metrics` or None, `rates` of FROC,
      `cases` (see `cases`).
    """
    metrics = box_intervals(test, resamples, seed)
    if not metrics:
        return None
    on_val = box_intervals(val, resamples, seed) if val is not None else {}
    return {
        "threshold": test.box_threshold,
        "overlaps": list(OVERLAPS),
        "chosen": chosen,
        "counts": counts(test),
        "metrics": intervals(metrics),
        "flat": [name for name in BOXES if metrics[name].low == metrics[name].high],
        "validation": intervals(on_val, BOXES) if on_val else None,
        "rates": list(froc.RATES),
        "cases": cases(test),
    }


def counts(answers: SplitPredictions) -> dict[str, int]:
    """Counts images and boxes at the box threshold; a hit has an IoU above 0.40.

    Returns:
      `images`, `with_opacity`, `opacities`, `found`, `shown` boxes, `false` ones, `without` opacity
      (images), and `disturbed`: those of them with a box.
    """
    truth, boxes, _, hits = _matched(answers)
    true, shown = (np.array([len(of) for of in found]) for found in (truth, boxes))
    found = int(hits.sum())
    return {
        "images": len(answers),
        "with_opacity": int((true > 0).sum()),
        "opacities": int(true.sum()),
        "found": found,
        "shown": int(shown.sum()),
        "false": int(shown.sum()) - found,
        "without": int((true == 0).sum()),
        "disturbed": int(((true == 0) & (shown > 0)).sum()),
    }


def cases(answers: SplitPredictions) -> dict[str, list[dict[str, Any]]]:
    """Chooses images to show.

    Returns:
      `best`: highest challenge score first; `missed`: none of the opacities found, the largest
      opacity first; `false_alarms`: no opacity but a box, the highest score first. Rows have
      `sha256`, `filename`, `pathogen`, `score` of the image, `challenge`, `truth` (boxes), `boxes`
      and `box_scores` as shown, `hit` (of each box).
    """
    truth, boxes, scores, hits = _matched(answers)
    challenge = challenge_scores(truth, boxes, scores)
    true = np.array([len(of) for of in truth])
    highest = np.array([row.max(initial=-1.0) for row in scores])
    largest = np.array([box_area(of).max(initial=0.0) for of in truth])
    any_hit = hits.any(axis=1) if hits.shape[1] else np.zeros(len(answers), bool)

    def chosen(mask: np.ndarray, *keys: np.ndarray) -> list[dict[str, Any]]:
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
            for row, i in zip(rows(answers, at), at, strict=False)
        ]

    return {
        "best": chosen((true > 0) & any_hit, challenge, highest),
        "missed": chosen((true > 0) & ~any_hit, largest),
        "false_alarms": chosen((true == 0) & (highest >= 0), highest),
    }


def _matched(
    answers: SplitPredictions,
) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray], np.ndarray]:
    """Returns true boxes, shown boxes, their scores, and which of them hit, bool [n, M]."""
    truth, shown = answers.truth_boxes.tolist(), answers.shown_boxes()
    boxes, scores = (rows.tolist() for rows in shown)
    hits = match_boxes(pad_boxes(truth, what="true box"), pad_boxes(boxes, scores), [froc.OVERLAP])
    return truth, boxes, scores, hits[:, 0]
