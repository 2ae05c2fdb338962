"""TFDV's comparators: divergence of logged measures from a reference, and what is too much."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from components.monitor.options import NUMBERS, WORDS
from schema import features as f

# As StatisticsGen names them; score, decision and status are not part of a record.
NAMES = {"brightness": f.STATS_MEAN, "height": f.IMAGE_HEIGHT, "width": f.IMAGE_WIDTH}


@dataclass(frozen=True)
class Finding:
    """One measure, compared.

    Attributes:
      name: of options.NUMBERS or WORDS.
      against: "training", "validation" or "earlier log".
      measure: "Jensen-Shannon" or "L-infinity".
      value: of the divergence.
      threshold: what is let through.
      n: logged images that it was taken over.
    """

    name: str
    against: str
    measure: str
    value: float
    threshold: float
    n: int

    @property
    def ok(self) -> bool:
        """Whether it is let through."""
        return self.value <= self.threshold


def tfdv() -> Any:
    """The library; TFX must be imported before it."""
    import importlib

    importlib.import_module("tfx.v1")
    return importlib.import_module("tensorflow_data_validation")


def statistics_of(numbers: Mapping[str, np.ndarray], words: Mapping[str, np.ndarray]) -> Any:
    """TFDV's statistics of columns; NaN and empty text count as missing.

    Returns:
      a `DatasetFeatureStatisticsList` whose features are named as a record names them.
    """
    import pandas as pd

    frame = {
        **{NAMES.get(name, name): np.asarray(v, np.float64) for name, v in numbers.items()},
        **{
            name: pd.Series([word or None for word in values.tolist()], dtype=object)
            for name, values in words.items()
        },
    }
    return tfdv().generate_statistics_from_dataframe(pd.DataFrame(frame))


def compare(
    reference: Any, logged: Any, thresholds: Mapping[str, float], against: str, least: int = 1
) -> list[Finding]:
    """Compares the measures that both sides have of enough images.

    Args:
      reference: statistics; of training, or of an earlier log.
      logged: statistics of the log.
      thresholds: name -> what is let through.
      against: what the reference is; "earlier log" takes TFDV's drift comparator, the others its
        skew comparator.
      least: images that a side must have; chance moves fewer of them too far.
    """
    from tensorflow_metadata.proto.v0 import schema_pb2

    skew = against != "earlier log"
    counts = {name: known(logged, name) for name in (*NUMBERS, *WORDS)}
    names = [name for name in counts if min(counts[name], known(reference, name)) >= least]
    schema = schema_pb2.Schema()
    for name in names:
        feature = schema.feature.add(
            name=NAMES.get(name, name),
            type=schema_pb2.FLOAT if name in NUMBERS else schema_pb2.BYTES,
        )
        comparator = feature.skew_comparator if skew else feature.drift_comparator
        if name in NUMBERS:
            comparator.jensen_shannon_divergence.threshold = thresholds[name]
        else:
            comparator.infinity_norm.threshold = thresholds[name]
    given = (
        {"statistics": reference, "serving_statistics": logged}
        if skew
        else {"statistics": logged, "previous_statistics": reference}
    )
    measured = {}
    for info in tfdv().validate_statistics(schema=schema, **given).drift_skew_info:
        for found in info.skew_measurements if skew else info.drift_measurements:
            measured[info.path.step[0]] = float(found.value)
    return [
        Finding(
            name,
            against,
            "Jensen-Shannon" if name in NUMBERS else "L-infinity",
            measured[NAMES.get(name, name)],
            thresholds[name],
            counts[name],
        )
        for name in names
        if NAMES.get(name, name) in measured
    ]


def feature_of(statistics: Any, name: str) -> Any:
    """The statistics of one measure; None where there are none."""
    if statistics is None:
        return None
    wanted = NAMES.get(name, name)
    for feature in statistics.datasets[0].features:
        if (list(feature.path.step) or [feature.name])[0] == wanted:
            return feature
    return None


def known(statistics: Any, name: str) -> int:
    """Images of which the measure is known."""
    feature = feature_of(statistics, name)
    if feature is None:
        return 0
    if name in NUMBERS:
        return int(feature.num_stats.common_stats.num_non_missing)
    return int(feature.string_stats.common_stats.num_non_missing)
