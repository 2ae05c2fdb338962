"""What a configuration says of evaluation: operating threshold, intervals, and the gate."""

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

GATED = ("auc", "auc_pr", "accuracy", "sensitivity", "specificity", "precision", "f1")


class GateRule(BaseModel):
    """Bounds of one metric on the whole test split."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min: float | None = Field(None, ge=0, le=1, description="a model below it is not blessed")
    max_drop: float | None = Field(
        None, ge=0, le=1, description="how far below the latest blessed model it may fall"
    )

    @model_validator(mode="after")
    def _says_something(self) -> "GateRule":
        if self.min is None and self.max_drop is None:
            raise ValueError("a gate rule needs min, max_drop or both")
        return self


class EvaluationOptions(BaseModel):
    """Operating threshold, bootstrap and gate."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    threshold: float = Field(0.5, gt=0, lt=1, description="a score at or above it is positive")
    resamples: int = Field(2000, ge=100, description="of the patient-clustered bootstrap")
    seed: int = Field(0, ge=0)
    gate: dict[str, GateRule] = Field(
        default_factory=lambda: {"auc": GateRule(min=0.8, max_drop=0.01)}
    )

    @field_validator("gate")
    @classmethod
    def _known_metrics(cls, value: dict[str, GateRule]) -> dict[str, GateRule]:
        unknown = sorted(set(value) - set(GATED))
        if unknown:
            raise ValueError(f"unknown metric {unknown[0]!r}; choose from {', '.join(GATED)}")
        if not value:
            raise ValueError("an empty gate would bless nothing; name at least one rule")
        if all(rule.min is None for rule in value.values()):
            # The Evaluator blesses nothing when no absolute bound applies, as on a first run.
            raise ValueError("a gate of max_drop alone would never bless a first model; add a min")
        return value
