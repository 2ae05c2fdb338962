"""Which answers of which configurations can be compared, whatever their task calls its classes."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from components.evaluation.answers import Answers
from pipeline.compare.runs import Finished
from schema.labels import NORMAL

Key = tuple[tuple[str, ...], tuple[str, ...]]
_LOCATED: Key = (("opacity",), ("no opacity",))


@dataclass(frozen=True)
class Score:
    """The answers of one configuration to one question, on one split.

    Attributes:
      label: int64 [n], 1 is the positive side of the question.
      score: float64 [n].
      called: int64 [n], 1 or 0.
      threshold: a score at or above it is called 1.
      sha256: [n].
      filename: [n].
      pathogen: [n].
      patient: [n].
    """

    label: np.ndarray
    score: np.ndarray
    called: np.ndarray
    threshold: float
    sha256: np.ndarray
    filename: np.ndarray
    pathogen: np.ndarray
    patient: np.ndarray

    def __len__(self) -> int:
        return len(self.label)


@dataclass
class Question:
    """Positive against negative pathogens, and who answers.

    Attributes:
      positive: pathogens; of tasks that locate "opacity".
      negative: pathogens; of tasks that locate "no opacity".
      names: configurations that answer it.
      derived: those of them that were not trained for it: the share of one class among two.
      test: name -> answers.
      val: name -> answers.
    """

    positive: tuple[str, ...]
    negative: tuple[str, ...]
    names: list[str] = field(default_factory=list)
    derived: set[str] = field(default_factory=set)
    test: dict[str, Score] = field(default_factory=dict)
    val: dict[str, Score] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """As "bacteria or virus against normal"."""
        return f"{' or '.join(self.positive)} against {' or '.join(self.negative)}"


def questions(runs: Sequence[Finished]) -> list[Question]:
    """All questions that some configuration answers; the score of a task first.

    The score of a binary, a three-class and a two-stage task is the same question where they call
    the same pathogens positive. A task with several positive classes answers the question between
    two of them too, by p_a / (p_a + p_b).
    """
    found: dict[Key, Question] = {}
    for run in runs:
        of = run.test.of
        if of.located:  # its sides are told by boxes, not by pathogens
            if len(set(run.test.told().positive.tolist())) < 2:
                continue  # test has one side only
            question = found.setdefault(_LOCATED, Question(*_LOCATED))
            question.names.append(run.name)
            for split, answers in (("test", run.test), ("val", run.val)):
                getattr(question, split)[run.name] = _score(
                    answers, of.positive, of.negative, False
                )
            continue
        asked: list[tuple[tuple[int, ...], tuple[int, ...], bool]] = [
            (of.positive, of.negative, False)
        ]
        pair = run.test.pair
        asked += [((i,), (j,), True) for i in pair for j in pair if i < j]
        for one, other, derived in asked:
            sides = tuple(_pathogens(run.test, side, derived) for side in (one, other))
            flip = not _is_positive(sides[0], sides[1])
            positive, negative = (sides[1], sides[0]) if flip else (sides[0], sides[1])
            if not positive or not negative:
                continue  # test has one side only
            question = found.setdefault((positive, negative), Question(positive, negative))
            if run.name in question.names:
                continue
            question.names.append(run.name)
            if derived:
                question.derived.add(run.name)
            for split, answers in (("test", run.test), ("val", run.val)):
                score = _score(answers, one, other, derived)
                getattr(question, split)[run.name] = flipped(score) if flip else score
    return sorted(found.values(), key=lambda q: NORMAL not in q.negative)


def _pathogens(answers: Answers, side: tuple[int, ...], derived: bool) -> tuple[str, ...]:
    """Pathogens in the split that belong to some classes for certain."""
    there = sorted(set(answers.pathogen.tolist()))
    compatible = answers.of.compatible
    return tuple(
        name
        for name in there
        if compatible.get(name)
        and set(compatible[name]) <= set(side)
        and (not derived or len(compatible[name]) == 1)
    )


def _is_positive(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether the first side is the positive one: not normal; otherwise the first by name."""
    if NORMAL in one or NORMAL in other:
        return NORMAL in other
    return one < other


def _score(answers: Answers, one: tuple[int, ...], other: tuple[int, ...], derived: bool) -> Score:
    if not derived:
        told = answers.told()
        return _rows(told, told.positive, told.score, told.called, told.threshold)
    among = answers.where(np.isin(answers.label, [*one, *other]))
    p, q = among.probabilities[:, one[0]], among.probabilities[:, other[0]]
    share = np.divide(p, p + q, out=np.full(len(among), 0.5), where=p + q > 0)
    label = (among.label == one[0]).astype(np.int64)
    return _rows(among, label, share, (share >= 0.5).astype(np.int64), 0.5)


def _rows(
    a: Answers, label: np.ndarray, score: np.ndarray, called: np.ndarray, threshold: float
) -> Score:
    return Score(label, score, called, threshold, a.sha256, a.filename, a.pathogen, a.patient)


def flipped(score: Score) -> Score:
    """The same answers with the other side as the positive one."""
    return Score(
        1 - score.label,
        1 - score.score,
        1 - score.called,
        # At the threshold itself the answer was "positive", which is "negative" now.
        float(np.nextafter(1 - score.threshold, 2)),
        score.sha256,
        score.filename,
        score.pathogen,
        score.patient,
    )
