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


def candidate_of(folder: str) -> str | None:
    """Name under which TFMA keeps the candidate: none, unless there was a baseline too."""
    text = json.loads((Path(folder) / "eval_config.json").read_text())
    config = text.get("evalConfig", text)
    specs = config.get("modelSpecs", config.get("model_specs", []))
    return "candidate" if len(specs) > 1 else None


def tfma_metrics(folder: str) -> dict[str, dict[str, float]]:
    """Slice -> metric -> value, of an Evaluator's output.

    The slice of everything is "overall", others are "feature=value". Values that TFMA gives as text
    (NaN) become floats. Differences to a baseline end in "_diff".
    """
    import tensorflow_model_analysis as tfma

    result = tfma.load_eval_result(folder, model_name=candidate_of(folder))
    found: dict[str, dict[str, float]] = {}
    for key, outputs in result.slicing_metrics:
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

    failed = {
        (failure.metric_key.name, failure.metric_key.is_diff)
        for part in tfma.load_validation_result(folder).metric_validations_per_slice
        for failure in part.failures
    }
    compared = candidate_of(folder)
    config = tfma.load_eval_result(folder, model_name=compared).config
    values = tfma_metrics(folder).get("overall", {})
    rules: list[dict[str, Any]] = []
    for metric in (metric for spec in config.metrics_specs for metric in spec.metrics):
        name = json.loads(metric.config or "{}").get("name", metric.class_name)
        for bound in (sliced.threshold for sliced in metric.per_slice_thresholds):
            if bound.HasField("value_threshold"):
                rules.append(
                    {
                        "metric": name,
                        "kind": "at least",
                        "bound": bound.value_threshold.lower_bound.value,
                        "value": values.get(name),
                        "ok": (name, False) not in failed,
                    }
                )
            if bound.HasField("change_threshold") and compared:
                rules.append(
                    {
                        "metric": name,
                        "kind": "change against the latest blessed model, at least",
                        "bound": bound.change_threshold.absolute.value,
                        "value": values.get(f"{name}_diff"),
                        "ok": (name, True) not in failed,
                    }
                )
    return rules
