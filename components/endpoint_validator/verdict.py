"""Holds a server's answers against the Scorer's; knows neither servers nor TFX."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from components.evaluation.operating_point import DECISIONS, decide

VERDICT = "validation.json"
Columns = Mapping[str, Sequence[Any]]
Ask = Callable[[Sequence[bytes]], Columns]

# Scorer asks in batches of 32 and a server in other sizes. The sums inside a convolution are then
# taken in another order; float32 keeps about 1e-7 of each, and 1e-6 was the most that was seen.
TOLERANCE = 1e-5
DAMAGED = b"\xff\xd8\xff\xe0 neither this nor what follows is a picture"


class NoAnswer(Exception):
    """A server did not start, or did not answer as it should; the message says what it did."""


@dataclass(frozen=True)
class Expected:
    """The Scorer's answer to one image.

    Attributes:
      sha256: id of the image.
      filename: of the image.
      score: calibrated probability of the positive classes.
      probabilities: of each class, calibrated.
    """

    sha256: str
    filename: str
    score: float
    probabilities: tuple[float, ...]


@dataclass(frozen=True)
class Check:
    """One thing that a server was asked to show; `detail` says what it did."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True)
class Verdict:
    """What is written beside the blessing.

    Attributes:
      how: "endpoint" or "savedmodel".
      checks: in the order in which they were made.
      images: file names of the images that were sent.
      tolerance: largest difference of a probability that is let through.
      seconds: wall time by phase.
    """

    how: str
    checks: list[Check]
    images: list[str]
    tolerance: float = TOLERANCE
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def blessed(self) -> bool:
        """There were checks, and all were passed."""
        return bool(self.checks) and all(check.ok for check in self.checks)

    @property
    def reasons(self) -> list[str]:
        """A line for each check that was not passed."""
        return [f"{check.name}: {check.detail}" for check in self.checks if not check.ok]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"blessed": self.blessed, "reasons": self.reasons, **asdict(self)}


def spread_over_scores(rows: Sequence[Expected], most: int) -> list[Expected]:
    """Rows from the lowest score to the highest, evenly by rank.

    A model that answers all images alike would agree with a sample of one kind.

    Args:
      rows: the Scorer's answers.
      most: how many, at most.
    """
    ordered = sorted(rows, key=lambda row: (row.score, row.sha256))
    if len(ordered) <= most:
        return ordered
    if most == 1:
        return [ordered[len(ordered) // 2]]
    return [ordered[round(i * (len(ordered) - 1) / (most - 1))] for i in range(most)]


def right_decisions(
    score: float, threshold: float, band: Sequence[float] | None, tolerance: float
) -> set[str]:
    """Decisions that are right for a score known to within a tolerance."""
    moved = np.array([score - tolerance, score, score + tolerance])
    found = decide(moved, threshold, (band[0], band[1]) if band is not None else None)
    return {DECISIONS[value] for value in found.tolist()}


def difference(expected: Expected, probabilities: Sequence[float], score: float) -> float:
    """Largest absolute difference; infinite where the shapes differ or a number is not finite."""
    pairs = [*zip(expected.probabilities, probabilities, strict=False), (expected.score, score)]
    gaps = [abs(a - b) for a, b in pairs]
    whole = len(probabilities) == len(expected.probabilities)
    return max(gaps) if whole and all(map(math.isfinite, gaps)) else math.inf


def compare(
    name: str,
    expected: Sequence[Expected],
    answer: Columns,
    facts: Mapping[str, Any],
    tolerance: float = TOLERANCE,
) -> Check:
    """Whether the answers are the Scorer's.

    Args:
      name: of the check.
      expected: one for each image that was sent, in their order.
      answer: columns `probabilities`, `score`, `decision`, and `status` where the model has one.
      facts: `threshold` and `band` of the model.
      tolerance: see `TOLERANCE`.
    """
    missing = {"probabilities", "score", "decision"} - set(answer)
    if missing:
        return Check(name, False, f"the answer has no {', '.join(sorted(missing))}")
    rows = {len(answer[key]) for key in ("probabilities", "score", "decision")}
    if rows != {len(expected)}:
        return Check(name, False, f"{len(expected)} images were sent, {sorted(rows)} rows came")
    worst = 0.0
    for i, want in enumerate(expected):
        status = str(answer["status"][i]) if "status" in answer else "OK"
        if not status.startswith("OK"):
            return Check(name, False, f"{want.filename} was rejected as {status}")
        off = difference(want, answer["probabilities"][i], answer["score"][i])
        if off > tolerance:
            return Check(
                name,
                False,
                f"{want.filename}: score {answer['score'][i]:.6f}, the Scorer had "
                f"{want.score:.6f}; probabilities differ by {off:.2g}, allowed {tolerance:g}",
            )
        worst = max(worst, off)
        right = right_decisions(want.score, facts["threshold"], facts.get("band"), tolerance)
        if answer["decision"][i] not in right:
            return Check(
                name,
                False,
                f"{want.filename}: decision {answer['decision'][i]!r} at score {want.score:.6f}, "
                f"not {' or '.join(sorted(right))}",
            )
    return Check(name, True, f"{len(expected)} images, largest difference {worst:.2g}")


def question(
    where: str,
    ask: Ask,
    expected: Sequence[Expected],
    images: Sequence[bytes],
    facts: Mapping[str, Any],
    tolerance: float = TOLERANCE,
) -> list[Check]:
    """Asks one door of a server everything; stops at the first door that does not answer.

    Args:
      where: name of the door, as "REST".
      ask: sends images, gives columns; raises NoAnswer.
      expected: of each image.
      images: bytes of the files, at least one.
      facts: of the model.
      tolerance: see `TOLERANCE`.
    """
    checks: list[Check] = []

    def one(name: str, sent: Sequence[bytes], judge: Callable[[Columns], Check]) -> bool:
        try:
            checks.append(judge(ask(sent)))
        except NoAnswer as error:
            checks.append(Check(name, False, str(error)))
        return checks[-1].ok

    has_status = False

    def batch(answer: Columns) -> Check:
        nonlocal has_status
        has_status = "status" in answer
        return compare(f"{where} batch", expected, answer, facts, tolerance)

    if not one(f"{where} batch", images, batch):
        return checks
    name = f"{where} one image"
    one(name, images[:1], lambda it: compare(name, expected[:1], it, facts, tolerance))
    # A model without `status` has no word for a damaged image; it may refuse the request.
    if has_status:
        name = f"{where} beside a damaged image"
        one(
            name,
            [images[0], DAMAGED, images[-1]],
            lambda it: beside_damaged(name, [expected[0], expected[-1]], it, facts, tolerance),
        )
    return checks


def beside_damaged(
    name: str,
    expected: Sequence[Expected],
    answer: Columns,
    facts: Mapping[str, Any],
    tolerance: float = TOLERANCE,
) -> Check:
    """Whether the second of three images was rejected, and its neighbours answered as before."""
    statuses = [str(status) for status in answer.get("status", ())]
    if len(statuses) != 3 or statuses[1].startswith("OK"):
        return Check(name, False, f"a damaged image was not rejected (status {statuses})")
    neighbours = {key: [values[0], values[2]] for key, values in answer.items() if len(values) == 3}
    return compare(name, expected, neighbours, facts, tolerance)
