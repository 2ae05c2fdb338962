"""Options of evaluation: operating point, abstention, intervals and the gate."""

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from core.metrics.registry import GATED
from schema.labels import Task
from schema.options import Options


class OperatingPointOptions(Options):
    """How the threshold of the score is chosen on validation."""

    rule: Literal["fixed", "sensitivity", "specificity", "youden", "cost"] = "fixed"
    threshold: float = Field(0.5, gt=0, lt=1, description="of the rule fixed")
    at_least: float = Field(
        0.95, gt=0, le=1, description="what the rules sensitivity and specificity must reach"
    )
    cost_of_miss: float = Field(
        5.0, gt=0, description="of the rule cost: a missed positive, in false alarms"
    )


class AgainstBlessedOptions(Options):
    """Paired tests against the latest blessed model of the same configuration and task."""

    alpha: float = Field(
        0.05, gt=0, lt=0.5, description="one-sided level at which a model counts as worse"
    )
    tests: tuple[Literal["auc", "accuracy", "challenge"], ...] = Field(
        ("auc", "accuracy", "challenge"),
        description="auc: DeLong on the score; accuracy: McNemar on decisions; challenge: "
        "bootstrap of the challenge's metric, only for a task that locates",
    )

    @field_validator("tests")
    @classmethod
    def _each_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) != len(value):
            raise ValueError(f"a test is named twice in {list(value)}")
        return value


class GateRule(Options):
    """Bound of one metric on the whole test split."""

    min: float = Field(ge=0, le=1, description="a model below it is not blessed")


class EvaluationOptions(Options):
    """Operating point, abstention, bootstrap and gate."""

    operating_point: OperatingPointOptions = Field(default_factory=OperatingPointOptions)
    abstain: float = Field(
        0.0, ge=0, lt=1, description="part of validation that may be referred; 0: no band"
    )
    resamples: int = Field(2000, ge=100, description="of the patient-clustered bootstrap")
    seed: int = Field(0, ge=0)
    gate: dict[str, GateRule] = Field(default_factory=lambda: {"auc": GateRule(min=0.8)})
    against_blessed: AgainstBlessedOptions = Field(default_factory=AgainstBlessedOptions)

    @model_validator(mode="before")
    @classmethod
    def _old_keys(cls, values: object) -> object:
        if isinstance(values, dict) and "threshold" in values:
            raise ValueError("threshold has moved to operating_point.threshold")
        return values

    @field_validator("gate", mode="before")
    @classmethod
    def _no_drop(cls, value: object) -> object:
        if isinstance(value, dict):
            for name, rule in value.items():
                if isinstance(rule, dict) and "max_drop" in rule:
                    raise ValueError(
                        f"{name}.max_drop is gone; against_blessed tests the drop instead"
                    )
        return value

    @model_validator(mode="after")
    def _known_metrics(self) -> Self:
        unknown = sorted(set(self.gate) - set(GATED))
        if unknown:
            raise ValueError(
                f"gate names unknown metric {unknown[0]!r}; choose from {', '.join(GATED)}"
            )
        if not self.gate:
            raise ValueError("an empty gate would bless any first model; name at least one rule")
        return self

    def check_task(self, of: Task) -> None:
        """Raises ValueError where the gate bounds boxes and the task has none."""
        rules = [name for name in self.gate if GATED[name] == "boxes"]
        if rules and not of.located:
            raise ValueError(
                f"evaluation.gate.{rules[0]} bounds boxes, and task {of.name!r} predicts none; "
                "take the rule out, or set data.task: locate"
            )
