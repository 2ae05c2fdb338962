"""The answer about one image, and a row of a model's outputs, from whatever protocol, -> it."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from core.images.rules import OK, STATUS_MESSAGES


@dataclass(frozen=True)
class Prediction:
    """The answer about one image.

    Attributes:
      file: as given.
      predicted: class name at the model's operating point; empty when there was an error.
      decision: POSITIVE, NEGATIVE, REFER where the score lies in the band of abstention, or
        REJECTED where the model could not use the image.
      score: calibrated probability of the positive classes together.
      probabilities: class name -> calibrated probability.
      abstained: whether a person has to look (REFER, REJECTED).
      status: of the file, see `core.images.rules`; empty if the model was not called.
      error: why there is no answer, in words; empty otherwise.
      boxes: shape (k, 4); ymin, xmin, ymax, xmax in pixels of the displayed image, best first; None
        if they were not requested or the model predicts none.
      box_scores: of each box, 0..1.
      heatmap: shape (h, w), 0..1; equal cells over the displayed image; from `explain` only.
      height: of the displayed image, pixels; from `explain` alone.
      width: likewise.
    """

    file: str
    predicted: str = ""
    decision: str = ""
    score: float | None = None
    probabilities: dict[str, float] = field(default_factory=dict)
    abstained: bool = False
    status: str = ""
    error: str = ""
    boxes: list[list[float]] | None = None
    box_scores: list[float] | None = None
    heatmap: list[list[float]] | None = None
    height: int | None = None
    width: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without empty parts and without the heat map, a picture."""
        plain = asdict(replace(self, heatmap=None))
        return {key: value for key, value in plain.items() if value not in ("", None, {})}


def to_prediction(file: str, row: Mapping[str, Any]) -> Prediction:
    """Reads a row of the signature serving_default, or of explain.

    Args:
      file: name of the image.
      row: outputs by name; `status` may be absent, as in models that reject nothing; and so may
        what only a model that locates, or `explain`, gives.

    Returns:
      The answer; with `error` for an image that the model rejected.

    Raises:
      ValueError: not the outputs of a model of this project, or not finite.
    """
    try:
        status = str(row.get("status", OK))
        error = in_words(status)
        if error:
            return rejected(file, error, status)
        numbers = [float(value) for value in row["probabilities"]]
        score, decision = float(row["score"]), str(row["decision"])
        if not all(map(math.isfinite, [score, *numbers])):
            raise ValueError("probabilities that are not finite")
        return Prediction(
            file,
            predicted=str(row["predicted_class"]),
            decision=decision,
            score=score,
            probabilities=dict(zip(map(str, row["classes"]), numbers, strict=True)),
            abstained=decision == "REFER",
            status=status,
            **_places(row),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"not the outputs of a model of this project ({error})") from error


def _places(row: Mapping[str, Any]) -> dict[str, Any]:
    """What a row says of places, as fields of `Prediction`."""
    found: dict[str, Any] = {}
    if "boxes" in row:
        pairs = zip(row["box_scores"], row["boxes"], strict=True)
        # A row has the same number of places for boxes in every image; a score of -1 is none.
        kept = [(float(score), _floats(box)) for score, box in pairs if float(score) >= 0]
        if any(len(box) != 4 for _, box in kept):
            raise ValueError("boxes that have not four edges")
        found["boxes"] = [box for _, box in kept]
        found["box_scores"] = _floats(score for score, _ in kept)
    if "heatmap" in row:
        found["heatmap"] = [_floats(line) for line in row["heatmap"]]
        found["height"], found["width"] = int(row["image_height"]), int(row["image_width"])
    return found


def _floats(values: Iterable[Any]) -> list[float]:
    found = [float(value) for value in values]
    if not all(map(math.isfinite, found)):
        raise ValueError("boxes or heat that are not finite")
    return found


def rejected(file: str, reason: str, status: str = "") -> Prediction:
    """The answer about an image that was not used, by the model or before it was asked.

    Args:
      file: name of the image.
      reason: in words.
      status: the model's own; empty where it was not asked.
    """
    return Prediction(file, decision="REJECTED", abstained=True, status=status, error=reason)


def in_words(status: str) -> str:
    """What a status means for the owner of the file; "" for OK."""
    code, _, detail = status.partition(": ")
    said = STATUS_MESSAGES.get(code, status)
    return f"{said} ({detail})" if detail and said else said
