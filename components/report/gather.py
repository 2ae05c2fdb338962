"""Collects what the report shows from the artifacts of a run; knows files, not TFX."""

import importlib.metadata
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from components.report.data import Sample
from schema import features as f
from schema.labels import PATHOGENS

PACKAGES = (
    "pneumo-tfx",
    "tfx",
    "tensorflow",
    "keras",
    "tensorflow-transform",
    "tensorflow-model-analysis",
    "tensorflow-data-validation",
    "ml-metadata",
    "apache-beam",
    "numpy",
)


def read_json(file: Path) -> dict[str, Any] | None:
    """A JSON object, or None where there is no such file."""
    return json.loads(file.read_text()) if file.is_file() else None


def versions() -> dict[str, str]:
    """Versions of what the numbers depend on."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def images_of(files: Iterable[str], wanted: set[str]) -> dict[str, bytes]:
    """Fetches the bytes of chosen images from gzip TFRecords, reading no more than it must.

    Args:
      files: paths of gzip TFRecords of raw records.
      wanted: ids (sha256 of the bytes).

    Returns:
      id -> bytes of the file; ids that are not there are missing.
    """
    import tensorflow as tf

    spec = {
        f.IMAGE_SHA256: tf.io.FixedLenFeature([], tf.string),
        f.IMAGE_ENCODED: tf.io.FixedLenFeature([], tf.string),
    }
    found: dict[str, bytes] = {}
    if not wanted:
        return found
    for record in tf.data.TFRecordDataset(list(files), compression_type="GZIP"):
        parsed = tf.io.parse_single_example(record, spec)
        name = parsed[f.IMAGE_SHA256].numpy().decode()
        if name in wanted:
            found[name] = parsed[f.IMAGE_ENCODED].numpy()
            if len(found) == len(wanted):
                break
    return found


def first_of_each(files: Iterable[str], each: int, limit: int = 2000) -> list[Sample]:
    """The first images of each pathogen; records are in random order, so they are a fair sample.

    Args:
      files: paths of gzip TFRecords of raw records.
      each: how many of a pathogen.
      limit: records to look at, so that a pathogen that is not there costs little.
    """
    import tensorflow as tf

    spec = {
        name: tf.io.FixedLenFeature([], tf.string)
        for name in (f.PATHOGEN, f.IMAGE_FILENAME, f.IMAGE_ENCODED)
    }
    found: dict[str, list[Sample]] = {pathogen: [] for pathogen in PATHOGENS}
    for record in tf.data.TFRecordDataset(list(files), compression_type="GZIP").take(limit):
        parsed = tf.io.parse_single_example(record, spec)
        pathogen = parsed[f.PATHOGEN].numpy().decode()
        if len(found[pathogen]) < each:
            name = parsed[f.IMAGE_FILENAME].numpy().decode(errors="replace")
            found[pathogen].append(Sample(name, pathogen, parsed[f.IMAGE_ENCODED].numpy()))
        if all(len(found[p]) == each for p in PATHOGENS[:3]):
            break
    return [sample for samples in found.values() for sample in samples]


def tfma_metrics(folder: str) -> dict[str, dict[str, float]]:
    """Slice -> metric -> value, of an Evaluator's output.

    The slice of everything is "overall", others are "feature=value". Values that TFMA gives as text
    (NaN) become floats.
    """
    import tensorflow_model_analysis as tfma

    found: dict[str, dict[str, float]] = {}
    for key, outputs in tfma.load_eval_result(folder).slicing_metrics:
        name = ", ".join(f"{feature}={value}" for feature, value in key) or "overall"
        values = outputs.get("", {}).get("", {})
        found[name] = {
            metric: float(value["doubleValue"])
            for metric, value in values.items()
            if "doubleValue" in value
        }
    return found


def gate_rules(folder: str) -> list[dict[str, Any]]:
    """The gate's rules as TFMA applied them: metric, kind of bound, bound, value, whether it held.

    A change bound appears only where there was a blessed model to compare with.
    """
    import tensorflow_model_analysis as tfma

    result = tfma.load_validation_result(folder)
    failed = {
        failure.metric_key.name
        for part in result.metric_validations_per_slice
        for failure in part.failures
    }
    config = tfma.load_eval_result(folder).config
    values = tfma_metrics(folder).get("overall", {})
    rules: list[dict[str, Any]] = []
    for spec in config.metrics_specs:
        for metric in spec.metrics:
            name = json.loads(metric.config or "{}").get("name", metric.class_name)
            for sliced in metric.per_slice_thresholds:
                bound = sliced.threshold
                if bound.HasField("value_threshold"):
                    rules.append(
                        _rule(name, "at least", bound.value_threshold.lower_bound.value, values)
                    )
                if bound.HasField("change_threshold") and len(config.model_specs) > 1:
                    drop = -bound.change_threshold.absolute.value
                    ok = not (name in failed and rules and rules[-1]["ok"])
                    rules.append(
                        {
                            "metric": name,
                            "slice": "overall",
                            "kind": "drop against the latest blessed model, at most",
                            "bound": drop,
                            "value": None,
                            "ok": ok,
                        }
                    )
    return rules


def _rule(name: str, kind: str, bound: float, values: dict[str, float]) -> dict[str, Any]:
    value = values.get(name)
    return {
        "metric": name,
        "slice": "overall",
        "kind": kind,
        "bound": bound,
        "value": value,
        "ok": value is not None and value >= bound,
    }
