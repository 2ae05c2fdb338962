"""Which blessed model is the baseline of a candidate."""

from typing import TYPE_CHECKING

from tfx import types
from tfx.dsl.components.common import resolver

if TYPE_CHECKING:
    import ml_metadata


class BlessedBeforeStrategy(resolver.ResolverStrategy):
    """Resolves the latest blessed model that is older than the candidate.

    TFX's LatestBlessedModelStrategy would find, on a second run of an unchanged pipeline, the
    candidate itself: it would be compared with itself, and Evaluator and Pusher would run again.
    Looking only at models before the candidate gives the same answer on every run, so that an
    unchanged run is answered from the cache.

    Inputs: `model` and `model_blessing` (all of this pipeline), `candidate` (of this run).
    """

    def resolve_artifacts(
        self,
        store: "ml_metadata.MetadataStore",  # noqa: ARG002
        input_dict: dict[str, list[types.Artifact]],
    ) -> dict[str, list[types.Artifact]] | None:
        """Returns at most one model with its blessing; the candidate is handed through."""
        candidates = input_dict["candidate"]
        newest = max((artifact.id for artifact in candidates), default=0)
        blessing_of = {
            blessing.get_int_custom_property("current_model_id"): blessing
            for blessing in input_dict.get("model_blessing", [])
            if blessing.get_int_custom_property("blessed") == 1
        }
        older = [
            model
            for model in input_dict.get("model", [])
            if model.id < newest and model.id in blessing_of
        ]
        if not older:
            return {"model": [], "model_blessing": [], "candidate": candidates}
        best = max(older, key=lambda model: model.id)
        return {
            "model": [best],
            "model_blessing": [blessing_of[best.id]],
            "candidate": candidates,
        }
