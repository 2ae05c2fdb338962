"""Compares measures with a reference by the comparators of TensorFlow Data Validation."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.reporting.monitor.options import MEASURES, NUMBERS
from schema import features as f

if TYPE_CHECKING:
    import pandas as pd

EARLIER = "earlier log"
# Features of records in TFDV's statistics; score, decision and status are not in records.
_FEATURES = {"brightness": f.STATS_MEAN, "height": f.IMAGE_HEIGHT, "width": f.IMAGE_WIDTH}


@dataclass(frozen=True)
class MeasureComparison:
    """A measure compared with a reference.

    Attributes:
      name: one of `options.MEASURES`.
      against: "training", "validation" or "earlier log".
      measure: "Jensen-Shannon" or "L-infinity".
      value: divergence, 0 to 1.
      threshold: largest value without an alarm.
      n: logged images with this measure.
    """

    name: str
    against: str
    measure: str
    value: float
    threshold: float
    n: int

    @property
    def ok(self) -> bool:
        """Whether there is no alarm."""
        return self.value <= self.threshold


def tfdv() -> Any:
    """Imports TFDV; TFX must be imported before it."""
    import importlib

    importlib.import_module("tfx.v1")
    return importlib.import_module("tensorflow_data_validation")


def compute_statistics(table: "pd.DataFrame") -> Any:
    """Computes TFDV's statistics of the measures in a table; NaN and empty text are missing."""
    columns = [name for name in MEASURES if name in table]
    return tfdv().generate_statistics_from_dataframe(
        table[columns].replace({"": None}).rename(columns=_FEATURES)
    )


def compare_measures(
    reference: Any, logged: Any, thresholds: Mapping[str, float], against: str, least: int = 1
) -> list[MeasureComparison]:
    """Compares the measures that at least `least` images have on both sides.

    An earlier log is compared by TFDV's drift comparator, training and validation by its skew
    comparator.
    """
    from tensorflow_metadata.proto.v0 import schema_pb2

    skew = against != EARLIER
    counts = {
        name: min(count_present(logged, name), count_present(reference, name)) for name in MEASURES
    }
    schema = schema_pb2.Schema()
    for name in (name for name in MEASURES if counts[name] >= least):
        number = name in NUMBERS
        feature = schema.feature.add(
            name=_FEATURES.get(name, name), type=schema_pb2.FLOAT if number else schema_pb2.BYTES
        )
        comparator = feature.skew_comparator if skew else feature.drift_comparator
        norm = comparator.jensen_shannon_divergence if number else comparator.infinity_norm
        norm.threshold = thresholds[name]
    statistics = (
        {"statistics": reference, "serving_statistics": logged}
        if skew
        else {"statistics": logged, "previous_statistics": reference}
    )
    values = {}
    for info in tfdv().validate_statistics(schema=schema, **statistics).drift_skew_info:
        for measurement in info.skew_measurements if skew else info.drift_measurements:
            values[info.path.step[0]] = float(measurement.value)
    return [
        MeasureComparison(
            name,
            against,
            "Jensen-Shannon" if name in NUMBERS else "L-infinity",
            values[_FEATURES.get(name, name)],
            thresholds[name],
            count_present(logged, name),
        )
        for name in MEASURES
        if _FEATURES.get(name, name) in values
    ]


def find_feature(statistics: Any, name: str) -> Any:
    """Returns the statistics of a measure; None if there are none."""
    wanted = _FEATURES.get(name, name)
    for feature in statistics.datasets[0].features if statistics is not None else ():
        if (list(feature.path.step) or [feature.name])[0] == wanted:
            return feature
    return None


def count_present(statistics: Any, name: str) -> int:
    """Returns the number of images that have a measure."""
    feature = find_feature(statistics, name)
    if feature is None:
        return 0
    stats = feature.num_stats if name in NUMBERS else feature.string_stats
    return int(stats.common_stats.num_non_missing)
