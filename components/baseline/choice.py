"""Who finds the model to beat, and whether one was found."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from schema.files import read_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tfx import types

Source = Literal["metadata", "pushed"]
NODE_ID = "latest_blessed_model"
FOUND = "found.json"


def baseline_node(source: Source, *, candidate: "types.BaseChannel", push_to: str) -> Any:
    """The node, whose output `model` is the model to beat: none, or one that may be empty.

    Args:
      source: metadata where a resolver of ours can ask ML Metadata; pushed where none can.
      candidate: output of Trainer.
      push_to: folder or URI of the pushed versions.
    """
    if source == "pushed":
        from components.baseline.component import Baseline

        return Baseline(candidate=candidate, push_to=push_to).with_id(NODE_ID)
    import tfx.v1 as tfx

    from components.resolver.strategy import BlessedBeforeStrategy

    return tfx.dsl.Resolver(
        strategy_class=BlessedBeforeStrategy,
        model=tfx.dsl.Channel(type=tfx.types.standard_artifacts.Model),
        model_blessing=tfx.dsl.Channel(type=tfx.types.standard_artifacts.ModelBlessing),
        candidate=candidate,
    ).with_id(NODE_ID)


def found(artifacts: "Sequence[types.Artifact] | None") -> bool:
    """Whether an input `baseline_model` holds a model; what a Baseline left may be empty."""
    if not artifacts:
        return False
    folder = Path(artifacts[0].uri)
    told = read_json(folder / FOUND)
    if told is not None:
        return bool(told["found"])
    return not folder.is_dir() or any(folder.iterdir())
