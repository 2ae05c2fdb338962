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


def histories(folder: Path) -> dict[str, dict[str, Any]]:
    """Seed -> training curves, of the Trainer's `history/` folder; empty where there is none."""
    files = sorted(folder.glob("*.json"), key=lambda file: (len(file.stem), file.stem))
    return {file.stem: json.loads(file.read_text()) for file in files}


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
