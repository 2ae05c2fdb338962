"""Images, and what a model predicts for them."""

from typing import Any, NamedTuple

from components.endpoint_validator.verdict import ScorerPrediction
from serving.predict.prediction import Prediction


class Scored(NamedTuple):
    contents: list[bytes]
    predictions: list[Prediction]
    expected: list[ScorerPrediction]
    facts: dict[str, Any]
