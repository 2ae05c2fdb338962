"""The numbers of boxes, and the images that are shown with them."""

from typing import Any

import numpy as np

from components.evaluation.answers import Answers
from components.evaluation.boxes import froc
from components.evaluation.boxes.challenge import OVERLAPS, challenge_scores
from components.evaluation.boxes.iou import area
from components.evaluation.boxes.matching import match, pad
from components.evaluation.on_split import box_numbers
from components.report.plain import as_dict

SHOWN = 6
HEADLINE = ("challenge", "pointing")
TOLD = ("challenge", "box_ap", "box_map", "froc", "pointing", "box_sensitivity", "false_boxes")


def box_section(
    test: Answers,
    val: Answers | None,
    chosen: dict[str, Any] | None,
    resamples: int,
    seed: int,
) -> dict[str, Any] | None:
    """The part `boxes` of the report.

    Args:
      test: answers on test.
      val: on validation; its numbers are on the bright side, as the choice was made there.
      chosen: `boxes` of the facts that the model carries.
      resamples: of the bootstrap.
      seed: of the bootstrap.

    Returns:
      None where the model predicts no boxes. `threshold`, `overlaps`, `chosen`, `counts` (see
      `counts`), `metrics` name -> interval, `flat` (names whose interval has no width),
      `validation` the same as `metrics` or None, `rates` of FROC, `cases` (see `cases`).
    """
    if not test.locates or not len(test):
        return None
    found = box_numbers(test, resamples, seed)
    on_val = None
    if val is not None and val.locates and len(val):
        on_val = box_numbers(val, resamples, seed)
    return {
        "threshold": test.box_threshold,
        "overlaps": list(OVERLAPS),
        "chosen": chosen,
        "counts": counts(test),
        "metrics": {name: as_dict(value) for name, value in found.items()},
        "flat": [name for name in TOLD if found[name].low == found[name].high],
        "validation": on_val and {name: as_dict(on_val[name]) for name in TOLD},
        "rates": list(froc.RATES),
        "cases": cases(test),
    }


def counts(answers: Answers) -> dict[str, int]:
    """Plain counts at the threshold of boxes, a hit overlapping by more than .4.

    Returns:
      `images`, `with_opacity`, `opacities`, `found`, `shown` boxes, `false` ones, `without` opacity
      (images), and `disturbed`: those of them that show a box all the same.
    """
    truth, boxes, hits = _held(answers)
    true = np.array([len(rows) for rows in truth])
    shown = np.array([len(rows) for rows in boxes])
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


def cases(answers: Answers) -> dict[str, list[dict[str, Any]]]:
    """Images to look at.

    Returns:
      `best`: the highest score of the challenge, then the surest box; `missed`: images of whose
      opacities none was found, the largest opacity first; `false_alarms`: images without an opacity
      that show a box, the surest first. Each row has `sha256`, `filename`, `score` of the image,
      `challenge`, `truth` (boxes), `boxes` and `box_scores` as shown, `hit` (of each box).
    """
    truth, boxes, hits = _held(answers)
    _, scores = answers.shown_boxes()
    challenge = challenge_scores(truth, boxes, scores.tolist())
    true = np.array([len(rows) for rows in truth])
    surest = np.array([row.max(initial=-1.0) for row in scores])
    largest = np.array([area(rows).max(initial=0.0) for rows in truth])
    any_hit = hits.any(axis=1) if hits.shape[1] else np.zeros(len(answers), bool)

    def rows(chosen: np.ndarray, *keys: np.ndarray) -> list[dict[str, Any]]:
        at = np.flatnonzero(chosen)
        order = np.lexsort([-key[at] for key in reversed(keys)])
        return [
            {
                "sha256": str(answers.sha256[i]),
                "filename": str(answers.filename[i]),
                "score": float(answers.score[i]),
                "challenge": float(challenge[i]),
                "truth": truth[i].tolist(),
                "boxes": boxes[i].tolist(),
                "box_scores": scores[i].tolist(),
                "hit": hits[i, : len(boxes[i])].tolist(),
            }
            for i in at[order][:SHOWN]
        ]

    return {
        "best": rows((true > 0) & any_hit, challenge, surest),
        "missed": rows((true > 0) & ~any_hit, largest),
        "false_alarms": rows((true == 0) & (surest >= 0), surest),
    }


def _held(answers: Answers) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray]:
    """True boxes, shown boxes, and which of these hit by more than .4, bool [n, M]."""
    truth, (boxes, scores) = answers.truth_boxes.tolist(), answers.shown_boxes()
    shown = boxes.tolist()
    hits = match(pad(truth, what="true box"), pad(shown, scores.tolist()), [froc.OVERLAP])
    return truth, shown, hits[:, 0]
