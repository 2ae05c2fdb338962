"""Options of monitoring."""

from typing import Self

from pydantic import Field, model_validator

from schema.options import Options

NUMBERS = ("brightness", "height", "width", "score")
WORDS = ("decision", "status")
MEASURES = (*NUMBERS, *WORDS)

# Divergences are in 0..1. Logs of the training population, by chance alone (real radiographs, whole
# patients; tests/core/reporting/monitor/calibrate.py): of logs of 100 images 99 in 100 stay
# below 0.08 in brightness, 0.07 in score and 0.14 in the shares of decisions; of 50 images, 0.14,
# 0.12 and 0.23.
_DEFAULT = {**dict.fromkeys(NUMBERS, 0.1), "decision": 0.2, "status": 0.1}


class MonitorOptions(Options):
    """Options of `pneumo monitor`, and of `monitor` in a configuration.

    Attributes:
      thresholds: measure -> largest divergence without an alarm. Jensen-Shannon divergence (base 2)
        for numbers, the largest difference of a share (L-infinity) for words.
      least: usable images needed for a verdict.
      alpha: level of the two-sample test on embeddings.
      permutations: permutations of the two-sample test.
      most: maximum number of embeddings of either side in the two-sample test.
      seed: seed of the permutations and of the sample.
    """

    thresholds: dict[str, float] = Field(default_factory=lambda: dict(_DEFAULT))
    least: int = Field(default=100, ge=2)
    alpha: float = Field(default=0.01, gt=0, lt=1)
    permutations: int = Field(default=999, ge=99)
    most: int = Field(default=400, ge=20)
    seed: int = 0

    @model_validator(mode="after")
    def _known(self) -> Self:
        for name, value in self.thresholds.items():
            if name not in MEASURES:
                raise ValueError(
                    f"thresholds: unknown measure {name!r}; choose from {', '.join(MEASURES)}"
                )
            if not 0 <= value <= 1:
                raise ValueError(f"thresholds: {name} must be in 0..1, not {value}")
        object.__setattr__(self, "thresholds", {**_DEFAULT, **self.thresholds})
        return self
