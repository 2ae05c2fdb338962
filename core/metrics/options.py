"""Options of evaluation: operating point, referral, intervals and gate."""

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from core.metrics.registry import GATED
from schema.labels import Task
from schema.options import Options


class OperatingPointOptions(Options):
    """How the threshold of the score is chosen on validation."""

    rule: Literal["fixed", "sensitivity", "specificity", "youden", "cost"] = Field(
        "fixed", description="rule that chooses the threshold on validation"
    )
    threshold: float = Field(0.5, gt=0, lt=1, description="threshold of rule fixed")
    at_least: float = Field(
        0.95, gt=0, le=1, description="value that rules sensitivity and specificity must reach"
    )
    cost_of_miss: float = Field(
        5.0, gt=0, description="of rule cost: a missed positive costs so many false positives"
    )
    fit_on: Literal["validation", "pooled"] = Field(
        "validation",
        description="pooled: threshold and temperature are fitted on validation and on the "
        "held-out images of `evaluation.shifted_validation`, with equal weight",
    )


class AgainstBlessedOptions(Options):
    """Paired tests against the latest blessed model of the same configuration and task."""

    alpha: float = Field(
        0.05, gt=0, lt=0.5, description="one-sided level at which a model counts as worse"
    )
    tests: tuple[Literal["auc", "accuracy", "challenge"], ...] = Field(
        ("auc", "accuracy", "challenge"),
        description="auc: DeLong on scores; accuracy: McNemar on decisions; challenge: bootstrap "
        "of the challenge score, only for tasks with boxes",
    )

    @field_validator("tests")
    @classmethod
    def _each_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) != len(value):
            raise ValueError(f"duplicate test in {list(value)}")
        return value


class GateRule(Options):
    """Lower bound of one metric on the test split."""

    min: float = Field(ge=0, le=1, description="the model is not blessed below this value")


class CorruptionOptions(Options):
    """Stress test of the model on corrupted validation images."""

    images: int | None = Field(
        500,
        ge=1,
        description="largest number of validation images, drawn by patient with evaluation.seed; "
        "none: all. Each is predicted 37 times",
    )


class ShiftedValidationOptions(Options):
    """Folds in which one group of images is held out from training."""

    by: Literal["source"] = Field(
        "source",
        description="column of the records whose groups are held out: source, the batch in the "
        "file name or the column of the manifest that `data.ingest.source_column` names",
    )
    max_folds: int = Field(
        4, ge=1, description="the recipe is trained once more for each fold; the largest are used"
    )


class EvaluationOptions(Options):
    """Operating point, referral, bootstrap and gate."""

    operating_point: OperatingPointOptions = Field(default_factory=OperatingPointOptions)
    refer: float = Field(
        0.0, ge=0, lt=1, description="largest share of validation to refer; 0: no referral band"
    )
    shifted_validation: ShiftedValidationOptions | None = Field(
        None,
        description="trains the recipe without one group of images and scores it on them; none: "
        "validation by patient only",
    )
    resamples: int = Field(2000, ge=100, description="resamples of the patient-clustered bootstrap")
    seed: int = Field(0, ge=0, description="seed of the bootstrap")
    gate: dict[str, GateRule] = Field(default_factory=lambda: {"auc": GateRule(min=0.8)})
    against_blessed: AgainstBlessedOptions = Field(default_factory=AgainstBlessedOptions)
    corruptions: CorruptionOptions | None = Field(
        None,
        description="measures how much metrics drop on corrupted validation images; none: no "
        "stress test",
    )

    @model_validator(mode="before")
    @classmethod
    def _old_keys(cls, values: object) -> object:
        if isinstance(values, dict) and "threshold" in values:
            raise ValueError("threshold was renamed to operating_point.threshold")
        return values

    @field_validator("gate", mode="before")
    @classmethod
    def _no_drop(cls, value: object) -> object:
        if isinstance(value, dict):
            for name, rule in value.items():
                if isinstance(rule, dict) and "max_drop" in rule:
                    raise ValueError(
                        f"{name}.max_drop was removed; use against_blessed, which tests the drop"
                    )
        return value

    @model_validator(mode="after")
    def _pool_has_folds(self) -> Self:
        if self.operating_point.fit_on == "pooled" and self.shifted_validation is None:
            raise ValueError(
                "operating_point.fit_on: pooled needs evaluation.shifted_validation; set "
                "{by: source} or fit_on: validation"
            )
        return self

    @model_validator(mode="after")
    def _known_metrics(self) -> Self:
        unknown = sorted(set(self.gate) - set(GATED))
        if unknown:
            raise ValueError(
                f"unknown metric {unknown[0]!r} in gate; choose from {', '.join(GATED)}"
            )
        if not self.gate:
            raise ValueError(
                "the gate has no rule and would bless any first model; add at least one"
            )
        return self

    def check_task(self, task: Task) -> None:
        """Checks what depends on the task.

        Raises:
          ValueError: the gate has a bound on boxes and the task has none, or shifted validation is
            set for a detection task.
        """
        if self.shifted_validation is not None and task.located:
            raise ValueError(
                f"evaluation.shifted_validation is for classification tasks, not for task "
                f"{task.name!r}; remove it"
            )
        rules = [name for name in self.gate if GATED[name] == "boxes"]
        if rules and not task.located:
            raise ValueError(
                f"evaluation.gate.{rules[0]} needs boxes, but task {task.name!r} has none; "
                "remove the rule or set data.task: locate"
            )
