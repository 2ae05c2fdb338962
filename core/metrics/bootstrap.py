"""Bootstrap confidence intervals, clustered by patient."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

TAIL = 0.025  # probability on each side of a 95 % interval
# Takes weights float [r, n], the count of each image in each resample; returns name -> value [r],
# NaN where a metric is undefined.
Statistics = Callable[[np.ndarray], Mapping[str, np.ndarray]]


@dataclass(frozen=True)
class Interval:
    """An estimate with its percentile interval.

    Attributes:
      estimate: value on the original data.
      low: lower end; NaN if the metric is undefined in every resample.
      high: upper end.
      resamples_used: number of resamples in which the metric is defined.
      exact: the ends come from `exact_bounds` instead of percentiles.
    """

    estimate: float
    low: float
    high: float
    resamples_used: int
    exact: bool = False


def clustered_bootstrap(
    statistics: Statistics,
    groups: np.ndarray,
    *,
    shares: Mapping[str, np.ndarray] | None = None,
    resamples: int = 2000,
    seed: int,
) -> dict[str, Interval]:
    """95 % percentile intervals (Efron 1979) from resampling whole patients with replacement.

    The cluster bootstrap of Field & Welsh (2007, J. R. Stat. Soc. B 69).

    Args:
      statistics: vectorized function that computes the metrics of many resamples at once.
      groups: [n], patient of each image.
      shares: name -> bool [n], the images in the denominator of a proportion. If the proportion is
        0 or 1, it is the same in every resample, so `exact_bounds` replace the percentiles.
      resamples: number of resamples.
      seed: seed of the resampling.

    Raises:
      ValueError: no images.
    """
    _, patient = np.unique(np.asarray(groups), return_inverse=True)
    if not len(patient):
        raise ValueError("no images: a confidence interval needs at least one")
    estimates = {name: float(v[0]) for name, v in statistics(np.ones((1, len(patient)))).items()}
    drawn: dict[str, list[np.ndarray]] = {name: [] for name in estimates}
    for weights in patient_weights(patient, resamples, seed):
        for name, values in statistics(weights).items():
            drawn[name].append(values)
    intervals = {}
    for name, estimate in estimates.items():
        interval = _percentiles(estimate, np.concatenate(drawn[name]))
        counted = (shares or {}).get(name)
        if counted is not None and counted.any() and estimate in {0.0, 1.0}:
            low, high = exact_bounds(estimate, len(np.unique(patient[counted])))
            interval = replace(interval, low=low, high=high, exact=True)
        intervals[name] = interval
    return intervals


def exact_bounds(share: float, patients: int) -> tuple[float, float]:
    """95 % bounds of a proportion that is 0 or 1 (Clopper & Pearson, 1934, Biometrika 26).

    Images of one patient count once, which makes the bounds conservative.

    Raises:
      ValueError: the proportion is neither 0 nor 1, or the number of patients is below 1.
    """
    if share not in {0.0, 1.0} or patients < 1:
        raise ValueError(
            f"exact bounds need a share of 0 or 1 and a patient, not {share} of {patients} patients"
        )
    reach = TAIL ** (1 / patients)
    return (reach, 1.0) if share == 1.0 else (0.0, 1 - reach)


def _percentiles(estimate: float, values: np.ndarray) -> Interval:
    defined = values[np.isfinite(values)]
    if not len(defined) or not math.isfinite(estimate):
        return Interval(estimate, math.nan, math.nan, len(defined))
    low, high = np.quantile(defined, (TAIL, 1 - TAIL))
    return Interval(estimate, float(low), float(high), len(defined))


def patient_weights(patient: np.ndarray, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Yields chunks of weights [r, n]: how often the patient of each image is drawn."""
    rng = np.random.default_rng(seed)
    patients = int(patient.max()) + 1
    chunk = max(1, 4_000_000 // max(len(patient), patients))
    for start in range(0, resamples, chunk):
        rows = min(chunk, resamples - start)
        counts = rng.multinomial(patients, np.full(patients, 1 / patients), size=rows)
        yield counts[:, patient].astype(np.float64)
