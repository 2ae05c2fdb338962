"""Runs the frozen part of the trunk over Transform's output."""

import json
import logging
from pathlib import Path
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

from components.embedder.embed import embed_split
from components.embedder.forward import choose_forward
from components.trainer.asked import settled
from components.trainer.data import transformed_images
from components.trainer.options import EmbeddingOptions
from components.trainer.weights import Weights

AGREEMENT_IMAGES = 16
TOO_NOISY = 0.01  # standard deviations of a feature

log = logging.getLogger("pneumo.embed")


class Executor(base_executor.BaseExecutor):
    """Writes `Split-<name>/` with features, maps, records and facts."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Embeds train, with its views, and val.

        Raises:
          ValueError: a split has no image.
        """
        options = EmbeddingOptions(**json.loads(exec_properties["options"]))
        size, cut = int(exec_properties["image_size"]), str(exec_properties["cut"])
        trunk, seed = str(exec_properties["trunk"]), options.seed
        weights = settled(Weights(**json.loads(exec_properties["weights"])), trunk)
        fit = str(exec_properties.get("fit") or "stretch")
        images = artifact_utils.get_single_instance(input_dict["examples"])
        out = artifact_utils.get_single_instance(output_dict["embeddings"])

        def stream(split: str, batch: int) -> Any:
            uri = artifact_utils.get_split_uri([images], split)
            return transformed_images([f"{uri}/*"], size, batch)

        first = next(iter(stream("train", AGREEMENT_IMAGES)), None)
        if first is None:
            raise ValueError("split 'train' has no image; look at what Transform wrote")
        chosen = choose_forward(
            trunk, size, weights.file or None, cut, options.compute, first[0].numpy(), seed
        )
        storage = options.storage
        if storage == "float16" and chosen.storage_noise > TOO_NOISY:
            storage = "float32"
            log.warning(
                "float16 would add noise of %.2g standard deviations to these features; stored as "
                "float32", chosen.storage_noise,
            )  # fmt: skip
        facts = {
            "trunk": trunk,
            "cut": cut,
            "image_size": size,
            "weights": weights.to_dict(),
            "compute": chosen.compute,
            "agreement": chosen.agreement,
            "timed": chosen.images_per_second,
            "storage_noise": chosen.storage_noise if storage == "float16" else 0.0,
            "augment": options.augment.model_dump() if options.views else None,
            "seed": seed,
        }
        for split in ("train", "val"):
            embed_split(
                stream(split, options.batch_size),
                chosen.run,
                Path(out.uri) / f"Split-{split}",
                split,
                storage=storage,
                views=options.views if split == "train" else 0,
                augment=options.augment,
                seed=seed,
                facts=facts,
                fit=fit,
            )
        out.split_names = artifact_utils.encode_split_names(["train", "val"])
        for name in ("trunk", "cut"):
            out.set_string_custom_property(name, str(facts[name]))
        out.set_string_custom_property("weights_sha256", weights.sha256)
