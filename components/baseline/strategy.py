"""Resolver strategy: the latest blessed model that is older than the candidate."""

from pathlib import Path
from typing import TYPE_CHECKING

from tfx import types
from tfx.dsl.components.common import resolver
from tfx.utils import path_utils

from schema.model_folder import MODEL_INFO, comparison_key

if TYPE_CHECKING:
    import ml_metadata


def same_kind(model: types.Artifact) -> tuple[str, str] | None:
    """Returns the `comparison_key` of a model; None if its files were deleted."""
    try:
        return comparison_key(
            (Path(path_utils.serving_model_path(model.uri)) / MODEL_INFO).read_bytes()
        )
    except OSError:
        return None


class BlessedBeforeStrategy(resolver.ResolverStrategy):
    """Resolves the latest blessed model of the same kind that is older than the candidate.

    On a second run of an unchanged pipeline, TFX's LatestBlessedModelStrategy would resolve the
    candidate itself, compare it with itself and run all later nodes again. Models older than the
    candidate are the same in every run, so an unchanged run uses the cache.

    The store holds models of several configurations and tasks; only those with the same
    `comparison_key` as the candidate count. Only blessings of the Gate count (`gate` is 1), and the
    latest one of each model; the Evaluator's blessings cover the bounds only.

    Inputs: `model` and `model_blessing` (all of this pipeline), `candidate` (of this run).
    """

    def resolve_artifacts(
        self,
        store: "ml_metadata.MetadataStore",  # noqa: ARG002
        input_dict: dict[str, list[types.Artifact]],
    ) -> dict[str, list[types.Artifact]] | None:
        """Returns at most one model with its blessing, and the candidate unchanged."""
        candidates = input_dict["candidate"]
        none: list[types.Artifact] = []
        found = {"model": none, "model_blessing": none, "candidate": candidates}
        if not candidates:
            return found
        candidate = max(candidates, key=lambda artifact: artifact.id)
        kind = same_kind(candidate)
        verdicts = {
            blessing.get_int_custom_property("current_model_id"): blessing
            for blessing in sorted(input_dict.get("model_blessing", []), key=lambda b: b.id)
            if blessing.get_int_custom_property("gate") == 1
        }
        older = sorted(
            (
                model
                for model in input_dict.get("model", [])
                if model.id < candidate.id
                and model.id in verdicts
                and verdicts[model.id].get_int_custom_property("blessed") == 1
            ),
            key=lambda model: model.id,
            reverse=True,
        )
        for model in older if kind is not None else []:
            if same_kind(model) == kind:
                return {
                    "model": [model],
                    "model_blessing": [verdicts[model.id]],
                    "candidate": candidates,
                }
        return found
