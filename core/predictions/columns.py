"""Columns of the predictions table, from what a model returns."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from core.embedding.records import ImageRecords
from schema.labels import Task


def prediction_columns(
    records: ImageRecords, of: Task, answers: Mapping[str, Any]
) -> dict[str, list[Any]]:
    """Rows of the table, as columns.

    Args:
      records: who the images are, n of them.
      of: the task.
      answers: `score` [n], `probabilities` [n, classes], `raw` [n, classes], `members`
        [n, members * classes]; of a model that predicts boxes `boxes` and `box_scores`, see
        `predicted_boxes`.
    """
    known = list(zip(records.pathogen.tolist(), records.box_counts.tolist(), strict=True))
    boxes, scores = predicted_boxes(len(records), answers)
    return {
        **{name: values.tolist() for name, values in records.columns().items()},
        "label": [of.class_of(*record) for record in known],
        "positive": [of.binary_label(*record) for record in known],
        **{name: answers[name].tolist() for name in ("score", "probabilities", "raw", "members")},
        "truth_boxes": [rows.ravel().tolist() for rows in records.boxes],
        "boxes": [rows.ravel().tolist() for rows in boxes],
        "box_scores": [row.tolist() for row in scores],
    }


def predicted_boxes(
    n: int, answers: Mapping[str, Any]
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Predicted boxes of each image, best first.

    Args:
      n: images.
      answers: `boxes`, for each image m boxes, as [m, 4] or in one row, relative; `box_scores`, for
        each m scores, below 0 where there is no box. Without them no image has a box.

    Returns:
      float32 [m, 4] and [m] of each image.

    Raises:
      ValueError: there are not as many of them as images, or as boxes.
    """
    if "boxes" not in answers:
        return [np.zeros((0, 4), np.float32)] * n, [np.zeros(0, np.float32)] * n
    if not len(answers["boxes"]) == len(answers["box_scores"]) == n:
        raise ValueError(f"{len(answers['boxes'])} sets of boxes for {n} images")
    boxes, scores = [], []
    for of_image, row in zip(answers["boxes"], answers["box_scores"], strict=True):
        every = np.asarray(of_image, np.float32).reshape(-1, 4)
        score = np.asarray(row, np.float32).reshape(-1)
        if len(every) != len(score):
            raise ValueError(f"{len(every)} boxes and {len(score)} scores in one image")
        order = np.argsort(-score, kind="stable")
        order = order[score[order] >= 0]
        boxes.append(every[order])
        scores.append(score[order])
    return boxes, scores
