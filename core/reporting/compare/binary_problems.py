"""Groups the predictions of different tasks by the binary problem that they solve.

The scores of a binary, a three-class and a two-stage task solve the same problem if the same
pathogens are positive.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from core.metrics.multiclass import pair_share
from core.predictions.predictions import SplitPredictions
from core.reporting.compare.runs import EvaluatedRun
from schema.labels import NORMAL

Pathogens = tuple[str, ...]
Sides = tuple[Pathogens, Pathogens]  # positive, negative
_OPACITY: Sides = (("opacity",), ("no opacity",))


@dataclass(frozen=True)
class BinaryPredictions:
    """Predictions of one configuration for a binary problem, on one split.

    Attributes:
      label: int64 [n], 1 is the positive side of the problem.
      score: float64 [n].
      predicted_positive: int64 [n], predicted side.
      threshold: a score at or above it is predicted 1.
      sha256: [n].
      filename: [n].
      pathogen: [n].
      patient: [n].
    """

    label: np.ndarray
    score: np.ndarray
    predicted_positive: np.ndarray
    threshold: float
    sha256: np.ndarray
    filename: np.ndarray
    pathogen: np.ndarray
    patient: np.ndarray

    def __len__(self) -> int:
        return len(self.label)

    def flipped(self) -> "BinaryPredictions":
        """Returns the same predictions with the other side as the positive one."""
        return replace(
            self,
            label=1 - self.label,
            score=1 - self.score,
            predicted_positive=1 - self.predicted_positive,
            # A score at the threshold was predicted positive, which is negative now.
            threshold=float(np.nextafter(1 - self.threshold, 2)),
        )


@dataclass
class BinaryProblem:
    """Positive against negative pathogens.

    Attributes:
      positive: pathogens; "opacity" in tasks with boxes.
      negative: pathogens; "no opacity" in tasks with boxes.
      names: configurations that solve it.
      derived: those that were trained on more classes; their score is the share of one class of
        two.
      test: configuration -> predictions.
      val: configuration -> predictions.
      shifted: configuration -> mean AUC over the folds of shifted validation; NaN without folds.
    """

    positive: Pathogens
    negative: Pathogens
    names: list[str] = field(default_factory=list)
    derived: set[str] = field(default_factory=set)
    test: dict[str, BinaryPredictions] = field(default_factory=dict)
    val: dict[str, BinaryPredictions] = field(default_factory=dict)
    shifted: dict[str, float] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """As "bacteria or virus against normal"."""
        return f"{' or '.join(self.positive)} against {' or '.join(self.negative)}"


def binary_problems(runs: Sequence[EvaluatedRun]) -> list[BinaryProblem]:
    """Returns the problems that at least one configuration solves, those against NORMAL first.

    A task with several positive classes also solves the problem of each pair of them, with the
    score p_a / (p_a + p_b).
    """
    problems: dict[Sides, BinaryProblem] = {}
    for run in runs:
        for sides, derived, test, val in _predictions(run):
            problem = problems.setdefault(sides, BinaryProblem(*sides))
            if run.name in problem.names:
                continue
            problem.names.append(run.name)
            problem.test[run.name], problem.val[run.name] = test, val
            own = run.shifted if not derived else None
            problem.shifted[run.name] = own.auc if own else math.nan
            if derived:
                problem.derived.add(run.name)
    return sorted(problems.values(), key=lambda problem: NORMAL not in problem.negative)


def _predictions(
    run: EvaluatedRun,
) -> Iterator[tuple[Sides, bool, BinaryPredictions, BinaryPredictions]]:
    """Yields sides, whether derived, and the predictions on test and validation."""
    test, val, task = run.test, run.val, run.test.task
    if task.located:  # sides are defined by boxes, not by pathogens
        if len(set(test.with_binary_label().positive.tolist())) == 2:
            yield _OPACITY, False, _own_score(test), _own_score(val)
        return
    pairs: list[tuple[tuple[int, ...], tuple[int, ...], bool]] = [
        (task.positive, task.negative, False),
        *(((i,), (j,), True) for i in test.pair for j in test.pair if i < j),
    ]
    for classes, others, derived in pairs:
        first, second = (_pathogens(test, side, derived) for side in (classes, others))
        if not first or not second:
            continue  # test has one side only
        on_test, on_val = (
            _share_of_class(split, classes[0], others[0]) if derived else _own_score(split)
            for split in (test, val)
        )
        if _is_positive(first, second):
            yield (first, second), derived, on_test, on_val
        else:
            yield (second, first), derived, on_test.flipped(), on_val.flipped()


def _pathogens(split: SplitPredictions, classes: tuple[int, ...], derived: bool) -> Pathogens:
    """Pathogens in the split that certainly belong to the classes."""
    compatible = split.task.compatible
    return tuple(
        name
        for name in sorted(set(split.pathogen.tolist()))
        if compatible.get(name)
        and set(compatible[name]) <= set(classes)
        and (not derived or len(compatible[name]) == 1)
    )


def _is_positive(side: Pathogens, other: Pathogens) -> bool:
    """Whether the first side is positive: not normal; otherwise the first by name."""
    return NORMAL in other if NORMAL in side or NORMAL in other else side < other


def _own_score(split: SplitPredictions) -> BinaryPredictions:
    split = split.with_binary_label()
    return _select(split, split.positive, split.score, split.predicted_positive, split.threshold)


def _share_of_class(split: SplitPredictions, one: int, other: int) -> BinaryPredictions:
    split = split.where(np.isin(split.label, [one, other]))
    share = pair_share(split.probabilities[:, one], split.probabilities[:, other])
    label = (split.label == one).astype(np.int64)
    return _select(split, label, share, (share >= 0.5).astype(np.int64), 0.5)


def _select(
    split: SplitPredictions,
    label: np.ndarray,
    score: np.ndarray,
    predicted_positive: np.ndarray,
    threshold: float,
) -> BinaryPredictions:
    columns = {name: getattr(split, name) for name in ("sha256", "filename", "pathogen", "patient")}
    return BinaryPredictions(label, score, predicted_positive, threshold, **columns)
