"""Artifact types that the nodes of this project write.

Kubeflow Pipelines knows an artifact type by a name with one dot, which TFX reads in the container
as module and class: `components.Predictions`. The package `components` therefore exports them.
"""

from tfx import types


class BatchPredictions(types.Artifact):
    """`results.parquet`, columns in components.batch_results.results, and `results.json`."""

    TYPE_NAME = "components.BatchPredictions"


class CardPage(types.Artifact):
    """`card.html` and `card.json`."""

    TYPE_NAME = "components.CardPage"


class DataVerdict(types.Artifact):
    """`verdict.json`: the splits that were checked and have no anomalies."""

    TYPE_NAME = "components.DataVerdict"


class Predictions(types.Artifact):
    """`predictions.parquet`: a row for each image; columns in core.predictions.table.

    `baseline.parquet`: the same of the blessed model to beat, where there is one.
    """

    TYPE_NAME = "components.Predictions"


class ReportPage(types.Artifact):
    """`report.html` and `report.json`."""

    TYPE_NAME = "components.ReportPage"
