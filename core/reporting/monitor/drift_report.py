"""Compares logged inputs with a reference."""

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from core.reporting.monitor.comparators import (
    EARLIER,
    MeasureComparison,
    compare_measures,
    compute_statistics,
)
from core.reporting.monitor.inputs import LoggedInputs
from core.reporting.monitor.options import MEASURES, MonitorOptions
from core.reporting.monitor.reference import Reference
from core.reporting.monitor.two_sample import TwoSample, mmd, one_per_patient
from schema.errors import PneumoError


@dataclass
class DriftReport:
    """Result of the comparison.

    Attributes:
      reference: name of the reference.
      images: number of logged images.
      rejected: number of logged images that the server rejected.
      versions: model versions in the log.
      times: times of the first and the last image.
      findings: results of TFDV's comparators.
      embeddings: the two-sample test; None if it was not made.
      alpha: level of the two-sample test.
      notes: remarks about what was not compared.
      statistics: "training", "validation", "log" -> TFDV's statistics, for the figures.
    """

    reference: str
    images: int
    rejected: int
    versions: list[str]
    times: tuple[float, float] | None
    findings: list[MeasureComparison]
    embeddings: TwoSample | None
    alpha: float
    notes: list[str]
    statistics: dict[str, Any] = field(default_factory=dict)

    @property
    def alarms(self) -> list[str]:
        """A line for each comparison beyond its threshold."""
        lines = [
            f"{f.name} against {f.against}: {f.measure} {f.value:.3f}, threshold {f.threshold:g}"
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
        """Converts to JSON types."""
        test = self.embeddings
        names = ("drift", "alarms", "reference", "images", "rejected", "versions")
        return {
            **{name: getattr(self, name) for name in names},
            "times": list(self.times) if self.times else None,
            "measures": [{**asdict(finding), "ok": finding.ok} for finding in self.findings],
            "embeddings": test
            and {
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


def check_drift(
    logged: LoggedInputs,
    reference: Reference,
    options: MonitorOptions,
    earlier: LoggedInputs | None = None,
) -> DriftReport:
    """Compares inputs with training, with validation and with an earlier log.

    Raises:
      PneumoError: too few usable images for a verdict.
    """
    least = options.least
    for name, inputs in (("new", logged), ("earlier", earlier)):
        if inputs is not None and inputs.usable < least:
            raise PneumoError(
                f"{name} log: {inputs.usable} usable images of {len(inputs)}, at least {least} are "
                "needed; use a longer log or lower monitor.least"
            )
    statistics = {"training": reference.inputs, "log": compute_statistics(logged.table)}
    if reference.predictions is not None:
        statistics["validation"] = reference.predictions
    if earlier is not None:
        statistics[EARLIER] = compute_statistics(earlier.table)
    findings = [
        finding
        for against in ("training", "validation", EARLIER)
        if against in statistics
        for finding in compare_measures(
            statistics[against], statistics["log"], options.thresholds, against, least
        )
    ]
    compared = {finding.name for finding in findings if finding.against != EARLIER}
    notes = [*logged.notes, *reference.notes] + [
        f"{name} not compared: fewer than {least} images of the log or the reference have it"
        for name in MEASURES
        if name not in compared
    ]
    return DriftReport(
        reference=reference.name,
        images=len(logged),
        rejected=len(logged) - logged.usable,
        versions=logged.versions,
        times=logged.times,
        findings=findings,
        embeddings=_two_sample(logged, reference, options, notes),
        alpha=options.alpha,
        notes=notes,
        statistics=statistics,
    )


def _two_sample(
    logged: LoggedInputs, reference: Reference, options: MonitorOptions, notes: list[str]
) -> TwoSample | None:
    if not len(logged.embedded):
        notes.append("embeddings not compared: the log has none (pneumo serve --log-embeddings)")
        return None
    if not len(reference.embedding):
        return None
    rng = np.random.default_rng(options.seed)
    logged_rows = one_per_patient(logged.patients, options.most, rng)
    reference_rows = one_per_patient(reference.patient, options.most, rng)
    if min(len(logged_rows), len(reference_rows)) < options.least:
        notes.append(
            f"embeddings not compared: {len(logged_rows)} patients in the log and "
            f"{len(reference_rows)} in the reference; the test needs {options.least} on each side"
        )
        return None
    # Sorted, so that a memory map is read sequentially.
    return mmd(
        logged.embedding[logged_rows],
        np.asarray(reference.embedding[np.sort(reference_rows)]),
        options.permutations,
        rng,
    )
