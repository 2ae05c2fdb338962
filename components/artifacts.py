"""Artifact types of the nodes of this project.

On Kubeflow Pipelines the name of an artifact type has one dot, and TFX imports it in the container
as module and class: `components.Predictions`. Therefore the package `components` exports the types.
"""

from tfx import types


class BatchPredictions(types.Artifact):
    """`results.parquet`, columns in components.batch_results.results, and `results.json`."""

    TYPE_NAME = "components.BatchPredictions"


class CardPage(types.Artifact):
    """`card.html` and `card.json`."""

    TYPE_NAME = "components.CardPage"


class CorruptionResults(types.Artifact):
    """`corruptions.json`; see core.predictions.stress_test.stress_test_results."""

    TYPE_NAME = "components.CorruptionResults"


class DataVerdict(types.Artifact):
    """`verdict.json`: the splits that were checked; none has anomalies."""

    TYPE_NAME = "components.DataVerdict"


class Predictions(types.Artifact):
    """`predictions.parquet`: one row per image; columns in core.predictions.table.

    `baseline.parquet`: the same for the latest blessed model, if there is one.
    """

    TYPE_NAME = "components.Predictions"


class ReportPage(types.Artifact):
    """`report.html` and `report.json`."""

    TYPE_NAME = "components.ReportPage"
