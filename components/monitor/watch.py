"""The verdict: every comparison, and what they come to."""

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from components.monitor.drift import Finding, compare, statistics_of
from components.monitor.options import NUMBERS, WORDS, MonitorOptions
from components.monitor.reference import Reference
from components.monitor.seen import Seen
from components.monitor.two_sample import TwoSample, mmd, one_each
from schema.errors import PneumoError


@dataclass
class Watched:
    """What was found.

    Attributes:
      reference: name.
      images: logged.
      rejected: of those.
      versions: of the model that answered.
      times: first and last image.
      findings: of TFDV's comparators.
      embeddings: the two-sample test; None where it was not made.
      alpha: its level.
      notes: lines about what was not compared.
      statistics: "training", "validation", "log" -> TFDV's statistics, for the figures.
    """

    reference: str
    images: int
    rejected: int
    versions: list[str]
    times: tuple[float, float] | None
    findings: list[Finding]
    embeddings: TwoSample | None
    alpha: float
    notes: list[str]
    statistics: dict[str, Any] = field(default_factory=dict)

    @property
    def alarms(self) -> list[str]:
        """A line for each comparison that went beyond its threshold."""
        lines = [
            f"{f.name} against {f.against}: {f.measure} {f.value:.3f}, allowed {f.threshold:g}"
            for f in self.findings
            if not f.ok
        ]
        if self.embeddings is not None and self.embeddings.p < self.alpha:
            lines.append(
                f"embeddings against training: MMD p {self.embeddings.p:.3g}, level {self.alpha:g}"
            )
        return lines

    @property
    def drift(self) -> bool:
        """Whether there is an alarm."""
        return bool(self.alarms)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        test = self.embeddings
        return {
            "drift": self.drift,
            "alarms": self.alarms,
            "reference": self.reference,
            "images": self.images,
            "rejected": self.rejected,
            "versions": self.versions,
            "times": list(self.times) if self.times else None,
            "measures": [{**asdict(found), "ok": found.ok} for found in self.findings],
            "embeddings": None
            if test is None
            else {
                "mmd2": test.statistic,
                "p": test.p,
                "alpha": self.alpha,
                "logged": test.n,
                "reference": test.m,
                "permutations": len(test.null),
                "ok": test.p >= self.alpha,
            },
            "notes": self.notes,
        }


def watch(
    logged: Seen, reference: Reference, options: MonitorOptions, earlier: Seen | None = None
) -> Watched:
    """Compares.

    Args:
      logged: images as a server saw them.
      reference: the side of training.
      options: thresholds and levels.
      earlier: an older log, for drift between two times.

    Raises:
      PneumoError: too few usable images for a verdict.
    """
    for what, seen in (("logged", logged), ("earlier", earlier)):
        if seen is not None and seen.usable < options.least:
            raise PneumoError(
                f"{what}: {seen.usable} usable images of {len(seen)}; a verdict needs "
                f"{options.least} (monitor.least)"
            )
    least = options.least
    statistics = statistics_of(logged.numbers, logged.words)
    findings = compare(reference.inputs, statistics, options.thresholds, "training", least)
    if reference.answers is not None and reference.answers is not reference.inputs:
        findings += compare(reference.answers, statistics, options.thresholds, "validation", least)
    shown = {"training": reference.inputs, "validation": reference.answers, "log": statistics}
    if earlier is not None:
        shown["earlier"] = statistics_of(earlier.numbers, earlier.words)
        findings += compare(shown["earlier"], statistics, options.thresholds, "earlier log", least)
    notes = [*logged.notes, *reference.notes]
    compared = {found.name for found in findings if found.against != "earlier log"}
    notes += [
        f"{name} not compared: the log or the reference has it of fewer than {least} images"
        for name in (*NUMBERS, *WORDS)
        if name not in compared
    ]
    return Watched(
        reference=reference.name,
        images=len(logged),
        rejected=len(logged) - logged.usable,
        versions=logged.versions,
        times=logged.times,
        findings=findings,
        embeddings=_two_sample(logged, reference, options, notes),
        alpha=options.alpha,
        notes=notes,
        statistics={name: value for name, value in shown.items() if value is not None},
    )


def _two_sample(
    logged: Seen, reference: Reference, options: MonitorOptions, notes: list[str]
) -> TwoSample | None:
    if not len(logged.embedded):
        notes.append("embeddings not compared: the log has none (pneumo serve --log-embeddings)")
        return None
    if not len(reference.embedding):
        return None
    rng = np.random.default_rng(options.seed)
    ours = one_each(logged.patient[logged.embedded], options.most, rng)
    theirs = one_each(reference.patient, options.most, rng)
    if min(len(ours), len(theirs)) < options.least:
        notes.append(
            f"embeddings not compared: {len(ours)} logged and {len(theirs)} of the reference, of "
            f"different patients; the test needs {options.least} on either side"
        )
        return None
    # Sorted, so that a memory map is read from front to back.
    return mmd(
        logged.embedding[ours],
        np.asarray(reference.embedding[np.sort(theirs)]),
        options.permutations,
        rng,
    )
