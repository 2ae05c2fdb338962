"""Prediction for one image, built from one row of model outputs."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from core.images.rules import CONTENT_STATUSES, OK, STATUS_MESSAGES


@dataclass(frozen=True)
class Prediction:
    """Prediction for one image.

    Attributes:
      file: path as passed by the caller.
      predicted: class name at the model's operating point; empty if there is an error.
      decision: POSITIVE, NEGATIVE, REFER if the score is in the referral band or the image is no
        radiograph, or REJECTED if the model could not use the file.
      score: calibrated probability, summed over the positive classes; None without a prediction.
      probabilities: class name -> calibrated probability.
      abstained: whether a person must read the image (REFER, REJECTED).
      status: status of the file, a key of `core.images.rules.STATUS_MESSAGES`; empty if the model
        was not called.
      error: why there is no prediction; empty otherwise.
      boxes: shape (k, 4), ymin, xmin, ymax, xmax in pixels of the displayed image, best first; None
        if the model has no boxes.
      box_scores: shape (k,), 0 to 1.
      heatmap: shape (h, w), 0 to 1, cells of equal size over the displayed image; only from the
        signature `explain`.
      height: pixels of the displayed image; only from `explain`.
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

    @property
    def reason(self) -> str:
        """Why there is no score; "" if there is one."""
        return self.error or STATUS_MESSAGES.get(self.status, self.status)

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields for JSON, without empty ones and without the heat map."""
        fields = asdict(replace(self, heatmap=None))
        return {key: value for key, value in fields.items() if value not in ("", None, {})}


def to_prediction(file: str, row: Mapping[str, Any]) -> Prediction:
    """Converts a row of outputs of the signature serving_default or explain.

    Args:
      file: name of the image.
      row: outputs by name. `status`, `reason` and the outputs of `explain` and of localization
        models are optional.

    Returns:
      The prediction; with `error` for an image that the model rejected, without a score for an
      image that is no radiograph.

    Raises:
      ValueError: not the outputs of a model of this project, or a number that is not finite.
    """
    try:
        status = str(row.get("status", OK)).partition(":")[0]
        if status in CONTENT_STATUSES:
            return Prediction(file, decision="REFER", abstained=True, status=status)
        if status != OK:
            reason = str(row.get("reason") or STATUS_MESSAGES.get(status, status))
            return rejected(file, reason, status)
        numbers = [float(value) for value in row["probabilities"]]
        score, decision = float(row["score"]), str(row["decision"])
        if not all(map(math.isfinite, [score, *numbers])):
            raise ValueError("probabilities are not finite")
        return Prediction(
            file,
            predicted=str(row["predicted_class"]),
            decision=decision,
            score=score,
            probabilities=dict(zip(map(str, row["classes"]), numbers, strict=True)),
            abstained=decision == "REFER",
            status=status,
            **_explanation_fields(row),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"not the outputs of a model of this project ({error})") from error


def _explanation_fields(row: Mapping[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if "boxes" in row:
        pairs = zip(row["box_scores"], row["boxes"], strict=True)
        # Every row has the same number of boxes; unused ones have a score of -1.
        used = [(float(score), _finite_floats(box)) for score, box in pairs if float(score) >= 0]
        if any(len(box) != 4 for _, box in used):
            raise ValueError("boxes do not have four edges")
        fields["boxes"] = [box for _, box in used]
        fields["box_scores"] = _finite_floats(score for score, _ in used)
    if "heatmap" in row:
        fields["heatmap"] = [_finite_floats(line) for line in row["heatmap"]]
        fields["height"], fields["width"] = int(row["image_height"]), int(row["image_width"])
    return fields


def _finite_floats(values: Iterable[Any]) -> list[float]:
    numbers = [float(value) for value in values]
    if not all(map(math.isfinite, numbers)):
        raise ValueError("boxes or heat map are not finite")
    return numbers


def rejected(file: str, reason: str, status: str = "") -> Prediction:
    """Returns the prediction for an image that was not used.

    Args:
      file: name of the image.
      reason: error message.
      status: status returned by the model; empty if the model was not called.
    """
    return Prediction(file, decision="REJECTED", abstained=True, status=status, error=reason)
