"""TFX's Trainer whose training is done by processes that it starts."""

from tfx.components import Trainer
from tfx.dsl.components.base import executor_spec

from components.trainer.executor import LaunchExecutor


class MultiWorkerTrainer(Trainer):
    """Inputs, outputs and parameters are those of `tfx.components.Trainer`."""

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(LaunchExecutor)
