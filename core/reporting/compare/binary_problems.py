"""Matches the predictions of different tasks that answer the same question."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from core.predictions.predictions import SplitPredictions
from core.reporting.compare.runs import FinishedRun
from schema.labels import NORMAL

Sides = tuple[tuple[str, ...], tuple[str, ...]]
_LOCATED: Sides = (("opacity",), ("no opacity",))


@dataclass(frozen=True)
class BinaryPredictions:
    """Predictions of one configuration for one question, on one split.

    Attributes:
      label: int64 [n], 1 is the positive side of the question.
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
      positive: pathogens; of tasks with boxes "opacity".
      negative: pathogens; of tasks with boxes "no opacity".
      names: configurations that answer it.
      derived: those of them that were not trained for it: the share of one class among two.
      test: name -> predictions.
      val: name -> predictions.
    """

    positive: tuple[str, ...]
    negative: tuple[str, ...]
    names: list[str] = field(default_factory=list)
    derived: set[str] = field(default_factory=set)
    test: dict[str, BinaryPredictions] = field(default_factory=dict)
    val: dict[str, BinaryPredictions] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """As "bacteria or virus against normal"."""
        return f"{' or '.join(self.positive)} against {' or '.join(self.negative)}"


def questions(runs: Sequence[FinishedRun]) -> list[BinaryProblem]:
    """Returns all questions that some configuration answers, those against NORMAL first.

    The scores of a binary, a three-class and a two-stage task answer the same question if the same
    pathogens are positive. A task with several positive classes also answers the question between
    two of them, by p_a / (p_a + p_b).
    """
    found: dict[Sides, BinaryProblem] = {}
    for run in runs:
        for sides, derived, test, val in _answers(run):
            question = found.setdefault(sides, BinaryProblem(*sides))
            if run.name in question.names:
                continue
            question.names.append(run.name)
            question.test[run.name], question.val[run.name] = test, val
            if derived:
                question.derived.add(run.name)
    return sorted(found.values(), key=lambda question: NORMAL not in question.negative)


def _answers(
    run: FinishedRun,
) -> Iterator[tuple[Sides, bool, BinaryPredictions, BinaryPredictions]]:
    """Yields sides, whether derived, and the scores on test and validation."""
    test, val, task = run.test, run.val, run.test.task
    if task.located:  # sides are defined by boxes, not by pathogens
        if len(set(test.with_binary_label().positive.tolist())) == 2:
            yield _LOCATED, False, _score(test), _score(val)
        return
    pairs: list[tuple[tuple[int, ...], tuple[int, ...], bool]] = [
        (task.positive, task.negative, False),
        *(((i,), (j,), True) for i in test.pair for j in test.pair if i < j),
    ]
    for one, other, derived in pairs:
        first, second = (_pathogens(test, side, derived) for side in (one, other))
        if not first or not second:
            continue  # test has one side only
        scores = [_share(of, one[0], other[0]) if derived else _score(of) for of in (test, val)]
        if _is_positive(first, second):
            yield (first, second), derived, scores[0], scores[1]
        else:
            yield (second, first), derived, scores[0].flipped(), scores[1].flipped()


def _pathogens(answers: SplitPredictions, side: tuple[int, ...], derived: bool) -> tuple[str, ...]:
    """Pathogens in the split that certainly belong to some classes."""
    compatible = answers.task.compatible
    return tuple(
        name
        for name in sorted(set(answers.pathogen.tolist()))
        if compatible.get(name)
        and set(compatible[name]) <= set(side)
        and (not derived or len(compatible[name]) == 1)
    )


def _is_positive(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether the first side is positive: not normal; otherwise the first by name."""
    return NORMAL in other if NORMAL in one or NORMAL in other else one < other


def _score(answers: SplitPredictions) -> BinaryPredictions:
    a = answers.with_binary_label()
    return BinaryPredictions(
        a.positive,
        a.score,
        a.predicted_positive,
        a.threshold,
        a.sha256,
        a.filename,
        a.pathogen,
        a.patient,
    )


def _share(answers: SplitPredictions, one: int, other: int) -> BinaryPredictions:
    a = answers.where(np.isin(answers.label, [one, other]))
    p, q = a.probabilities[:, one], a.probabilities[:, other]
    share = np.divide(p, p + q, out=np.full(len(a), 0.5), where=p + q > 0)
    return BinaryPredictions(
        (a.label == one).astype(np.int64),
        share,
        (share >= 0.5).astype(np.int64),
        0.5,
        a.sha256,
        a.filename,
        a.pathogen,
        a.patient,
    )
