"""A row of a model's outputs, from whatever protocol -> the answer about one image."""

import math
from collections.abc import Mapping
from typing import Any

from serving.predict import Prediction, in_words


def to_prediction(file: str, row: Mapping[str, Any]) -> Prediction:
    """Reads a row of the signature serving_default.

    Args:
      file: name of the image.
      row: outputs by name; `status` may be absent, as in models that reject nothing.

    Returns:
      The answer; with `error` for an image that the model rejected.

    Raises:
      ValueError: not the outputs of a model of this project, or not finite.
    """
    try:
        status = str(row.get("status", "OK"))
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
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"not the outputs of a model of this project ({error})") from error


def rejected(file: str, reason: str, status: str = "") -> Prediction:
    """The answer about an image that was not used, by the model or before it was asked.

    Args:
      file: name of the image.
      reason: in words.
      status: the model's own; empty where it was not asked.
    """
    return Prediction(file, decision="REJECTED", abstained=True, status=status, error=reason)
