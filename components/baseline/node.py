"""Builds the node that finds the baseline model."""

from typing import TYPE_CHECKING, Any

from components.model_to_beat import NODE_ID, BaselineSource

if TYPE_CHECKING:
    from tfx import types


def baseline_node(source: BaselineSource, *, candidate: "types.BaseChannel", push_to: str) -> Any:
    """Builds the node whose output `model` is the baseline; it may be missing or empty.

    Args:
      source: "metadata": resolver that queries ML Metadata; "pushed": newest pushed version.
      candidate: output of Trainer.
      push_to: folder or URI of the pushed versions.
    """
    if source == "pushed":
        from components.baseline.component import Baseline

        return Baseline(candidate=candidate, push_to=push_to).with_id(NODE_ID)
    import tfx.v1 as tfx

    from components.baseline.strategy import BlessedBeforeStrategy

    return tfx.dsl.Resolver(
        strategy_class=BlessedBeforeStrategy,
        model=tfx.dsl.Channel(type=tfx.types.standard_artifacts.Model),
        model_blessing=tfx.dsl.Channel(type=tfx.types.standard_artifacts.ModelBlessing),
        candidate=candidate,
    ).with_id(NODE_ID)
