"""Heat maps of the exported model: which images it is asked about, and how good its places are."""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from components.evaluation.answers import Answers
from components.evaluation.bootstrap import Statistics, clustered_bootstrap_of
from components.evaluation.boxes.iou import iou
from components.evaluation.boxes.numbers import box_statistics
from components.evaluation.boxes.pointing import peaks, pointing_hits
from components.report.plain import as_dict
from schema import features as f

RIGHT = 6  # images of each side that are shown where it was right
TOLD = ("pointing", "iou", "challenge", "box_sensitivity", "false_boxes")
WORDS = {
    "pointing": (
        "Pointing accuracy",
        "share of images with an opacity whose hottest place lies on one, called positive or not",
    ),
    "iou": ("Overlap", "of each marked opacity with the box that it overlaps most; 0 without one"),
    "challenge": (
        "Challenge score",
        "of the RSNA challenge: mean over overlaps 0.40 to 0.75 of TP / (TP + FP + FN)",
    ),
    "box_sensitivity": (
        "Opacities found",
        "share of marked opacities that a box overlaps by more than 0.40",
    ),
    "false_boxes": ("False boxes per image", "that overlap no opacity so; lower is better"),
}
_BATCH = 16


@dataclass(frozen=True)
class Places:
    """What the model says of places in one image.

    Attributes:
      peak: centre (y, x) of the hottest cell, 0..1 of the displayed image; NaN: it points nowhere.
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
class Heat:
    """What the report knows of places.

    Attributes:
      facts: `boxes` of the model's facts: kind, threshold.
      places: id of an image -> what the model says of it.
    """

    facts: dict[str, Any] = field(default_factory=dict)
    places: dict[str, Places] = field(default_factory=dict)


def rightly(answers: Answers) -> dict[str, list[dict[str, Any]]]:
    """Images where the answer was right, the surest first.

    Returns:
      `found`: positive, called so; `passed`: negative, called so. Rows have `sha256`, `filename`,
      `pathogen`, `score`.
    """
    told = answers.told()
    order = np.argsort(-told.score, kind="stable")
    found = order[((told.positive == 1) & (told.called == 1))[order]]
    passed = order[::-1][((told.positive == 0) & (told.called == 0))[order[::-1]]]
    return {
        name: [
            {
                "sha256": str(told.sha256[i]),
                "filename": str(told.filename[i]),
                "pathogen": str(told.pathogen[i]),
                "score": float(told.score[i]),
            }
            for i in rows[:RIGHT]
        ]
        for name, rows in (("found", found), ("passed", passed))
    }


def to_measure(answers: Answers) -> np.ndarray:
    """Which images the numbers of weak boxes need, bool [n]; none where nobody marked anything.

    Those with a marked opacity, and those without that are called positive: all others have neither
    a marked nor a predicted box, and say nothing.
    """
    marked = np.array([len(boxes) > 0 for boxes in answers.truth_boxes], bool)
    if not marked.any():
        return np.zeros(len(answers), bool)
    return np.asarray(marked | (answers.called == 1))


def places_of(
    explain: Any, files: Iterable[str], shown: set[str], measured: set[str]
) -> dict[str, Places]:
    """Asks the model about images of a split; holds one batch at a time, and what it says.

    Args:
      explain: signature `explain` of the loaded SavedModel.
      files: gzip TFRecords of raw records.
      shown: ids of images whose heat is kept.
      measured: ids of images whose boxes are kept alone.

    Returns:
      id -> what the model says; images that it rejects are missing.
    """
    import tensorflow as tf

    found: dict[str, Places] = {}
    wanted = shown | measured
    source = _images(files, wanted)
    while batch := list(itertools.islice(source, _BATCH)):
        answer = explain(image_bytes=tf.constant([content for _, content in batch]))
        rows = {name: value.numpy() for name, value in answer.items()}
        points = peaks(rows["heatmap"])
        for i, (name, content) in enumerate(batch):
            if rows["status"][i] != b"OK":
                continue
            there = rows["box_scores"][i] >= 0
            sides = np.array([rows["image_height"][i], rows["image_width"][i]] * 2, np.float64)
            of_picture = (rows["heatmap"][i], content) if name in shown else (None, b"")
            found[name] = Places(
                points[i],
                rows["boxes"][i][there].astype(np.float64) / sides,
                rows["box_scores"][i][there].astype(np.float64),
                *of_picture,
            )
    return found


def _images(files: Iterable[str], wanted: set[str]) -> Iterator[tuple[str, bytes]]:
    """Ids and bytes of chosen images; reads no further than the last of them."""
    import tensorflow as tf

    spec = {
        name: tf.io.FixedLenFeature([], tf.string) for name in (f.IMAGE_SHA256, f.IMAGE_ENCODED)
    }
    left = set(wanted)
    for record in tf.data.TFRecordDataset(list(files), compression_type="GZIP") if left else ():
        parsed = tf.io.parse_single_example(record, spec)
        name = parsed[f.IMAGE_SHA256].numpy().decode()
        if name in left:
            left.discard(name)
            yield name, parsed[f.IMAGE_ENCODED].numpy()
            if not left:
                return


def heat_section(
    answers: Answers, heat: Heat | None, resamples: int, seed: int
) -> dict[str, Any] | None:
    """The part `explain` of the report.

    Args:
      answers: on test.
      heat: what the model said.
      resamples: of the bootstrap, by patient.
      seed: of the bootstrap.

    Returns:
      None where the model was not asked. `kind`, `facts` (of the model's boxes), `shown` (number of
      images that are drawn), `right` (see `rightly`); and where boxes are weak and people marked
      opacities in test: `counts` (`images`, `opacities`, `called` of these images) and `metrics`,
      name -> interval:
        pointing: share of images with an opacity whose hottest place lies on one;
        iou: mean over opacities of the largest overlap with a box, 0 where there is none;
        challenge, box_sensitivity, false_boxes: see `components.evaluation.boxes.numbers`.
    """
    if heat is None:
        return None
    found: dict[str, Any] = {
        "kind": heat.facts.get("kind", ""),
        "facts": heat.facts,
        "shown": sum(one.heat is not None for one in heat.places.values()),
        "right": rightly(answers),
    }
    marked = np.array([len(boxes) > 0 for boxes in answers.truth_boxes], bool)
    if answers.locates or not marked.any():
        return found
    none = Places(np.full(2, np.nan), np.zeros((0, 4)), np.zeros(0))
    places = [heat.places.get(name, none) for name in answers.sha256.tolist()]
    statistics, shares = weak_statistics(answers.truth_boxes.tolist(), places)
    intervals = clustered_bootstrap_of(
        statistics, answers.patient, shares=shares, resamples=resamples, seed=seed
    )
    return found | {
        "counts": {
            "images": int(marked.sum()),
            "opacities": int(sum(map(len, answers.truth_boxes))),
            "called": int((answers.called[marked] == 1).sum()),
        },
        "metrics": {name: as_dict(intervals[name]) for name in TOLD},
    }


def weak_statistics(
    truth: list[np.ndarray], places: list[Places]
) -> tuple[Statistics, dict[str, np.ndarray]]:
    """The numbers of `heat_section` as a function of the images' weights, and their shares."""
    boxes, scores = [one.boxes for one in places], [one.scores for one in places]
    of_boxes, _ = box_statistics(truth, boxes, scores, 0.0)
    hits = pointing_hits(truth, np.array([one.peak for one in places]).reshape(-1, 2))
    marked = np.isfinite(hits)
    opacities = np.array([len(rows) for rows in truth], np.float64)
    overlap = np.array(
        [iou(t, b).max(axis=1, initial=0.0).sum() for t, b in zip(truth, boxes, strict=True)]
    )

    def numbers(w: np.ndarray) -> dict[str, np.ndarray]:
        with np.errstate(divide="ignore", invalid="ignore"):
            return {
                **of_boxes(w),
                "pointing": (w @ np.where(marked, hits, 0)) / (w @ marked),
                "iou": (w @ overlap) / (w @ opacities),
            }

    return numbers, {"pointing": marked}
