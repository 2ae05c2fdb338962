"""Which component trains: TFX's Trainer itself, or one that starts processes."""

from collections.abc import Mapping
from typing import Any


def trainer_class(distribution: str, vertex_job: Mapping[str, Any]) -> type:
    """TFX's Trainer, or one with the same inputs, outputs and parameters.

    Args:
      distribution: `training.distribution`.
      vertex_job: the custom job of Vertex AI that trains; empty: none.
    """
    if vertex_job:
        from components.trainer.vertex import VertexTrainer

        return VertexTrainer
    from tfx.components import Trainer

    if distribution != "multi_worker":
        return Trainer
    from components.trainer.component import MultiWorkerTrainer

    return MultiWorkerTrainer
