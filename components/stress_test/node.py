"""Builds the optional StressTest node."""

from typing import TYPE_CHECKING, Any

from core.metrics.options import EvaluationOptions

if TYPE_CHECKING:
    from tfx import types


def stress_test_node(
    options: EvaluationOptions,
    *,
    examples: "types.BaseChannel",
    model: "types.BaseChannel",
    batch_size: int,
) -> Any:
    """Builds the node; None without `options.corruptions`.

    Args:
      options: number of images, resamples and seed.
      examples: output of Transform.
      model: output of Trainer.
      batch_size: images per call of the model.
    """
    if options.corruptions is None:
        return None
    from components.stress_test.component import StressTest

    return StressTest(
        examples=examples,
        model=model,
        images=options.corruptions.images or 0,
        resamples=options.resamples,
        seed=options.seed,
        batch_size=batch_size,
    )
