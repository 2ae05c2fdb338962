"""Converts model outputs to columns of the predictions table."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from core.embedding.records import ImageRecords
from schema.labels import Task


def prediction_columns(
    records: ImageRecords, task: Task, outputs: Mapping[str, Any]
) -> dict[str, list[Any]]:
    """Builds the columns of the table.

    Args:
      records: metadata of the n images.
      task: task of the model.
      outputs: `score` [n], `probabilities` [n, classes], `raw` [n, classes], `members`
        [n, members * classes]; for a detector also `boxes` and `box_scores`, see
        `predicted_boxes`.
    """
    boxes, scores = predicted_boxes(len(records), outputs)
    return {
        **{name: values.tolist() for name, values in records.columns().items()},
        "label": records.class_labels(task).tolist(),
        "positive": records.binary_labels(task).tolist(),
        **{name: outputs[name].tolist() for name in ("score", "probabilities", "raw", "members")},
        "truth_boxes": [rows.ravel().tolist() for rows in records.boxes],
        "boxes": [rows.ravel().tolist() for rows in boxes],
        "box_scores": [row.tolist() for row in scores],
    }


def predicted_boxes(
    n: int, outputs: Mapping[str, Any]
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Returns the predicted boxes of each image, best first.

    Args:
      n: number of images.
      outputs: `boxes`, for each image m boxes in relative coordinates, [m, 4] or flat;
        `box_scores`, for each image m scores, below 0 for padding. If missing, no image has a box.

    Returns:
      float32 [m, 4] and [m] for each image.

    Raises:
      ValueError: the numbers of images, boxes and scores do not match.
    """
    if "boxes" not in outputs:
        return [np.zeros((0, 4), np.float32)] * n, [np.zeros(0, np.float32)] * n
    if not len(outputs["boxes"]) == len(outputs["box_scores"]) == n:
        raise ValueError(f"{len(outputs['boxes'])} sets of boxes for {n} images")
    boxes, scores = [], []
    for image_boxes, row in zip(outputs["boxes"], outputs["box_scores"], strict=True):
        flat = np.asarray(image_boxes, np.float32).reshape(-1, 4)
        score = np.asarray(row, np.float32).reshape(-1)
        if len(flat) != len(score):
            raise ValueError(f"{len(flat)} boxes and {len(score)} scores in one image")
        order = np.argsort(-score, kind="stable")
        order = order[score[order] >= 0]
        boxes.append(flat[order])
        scores.append(score[order])
    return boxes, scores
