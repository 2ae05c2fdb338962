"""Writes the SavedModel.

Signatures for records decode images with the Transform graph, signatures for clients with
`core.images.validate_tf`. The export fails if their pixels differ, so that training and serving
decode images in the same way.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from core.images.rules import ImageLimits
from core.models.decision_rule import DecisionRule
from schema.labels import Task
from schema.model_folder import MODEL_INFO
from serving import NOTICE
from serving.export.signatures import GraphParts, Layer, ServingModule
from serving.export.transform_fit import detect_fit
from serving.export.warmup import write_warmup

if TYPE_CHECKING:
    import keras
    import tensorflow_transform as tft

    from core.models.explain.explanation import Explanation


def export(
    network: Layer,
    variables: "Sequence[keras.Variable]",
    size: int,
    transform: "tft.TFTransformOutput",
    task: Task,
    folder: str,
    *,
    decode_png: Layer,
    features: Layer,
    decision: DecisionRule,
    metadata: dict[str, Any],
    limits: ImageLimits = ImageLimits(),  # noqa: B008  frozen
    explain: "Callable[[tf.Tensor], Explanation] | None" = None,
    box_threshold: float = 0.0,
) -> None:
    """Writes the SavedModel, its metadata as JSON and warm-up requests.

    Signatures for n images each:
      serving_default: `image_bytes` string [n], JPEG or PNG files -> `probabilities` float32
        [n, classes] (calibrated), `score` float32 [n] (sum over the positive classes), `decision`
        string [n] (POSITIVE, NEGATIVE, REFER for a score in the referral band or an image that is
        no radiograph, REJECTED for an invalid file), `abstained` bool [n] (REFER or REJECTED),
        `predicted_class` string [n], `classes` string [n, classes], `status` and
        `reason` string [n] (see `validate_tf.DecodedBatch`). A rejected image, or one that is no
        radiograph, has -1 for every number and "" for its class; it does not change the
        predictions for the other images of the batch. A localization task adds `boxes` and
        `box_scores`, as in explain.
      explain (only with `explain`): `image_bytes` string [n] -> the outputs of serving_default,
        `heatmap` float32 [n, h, w] in 0 to 1 (cells of equal size that cover the displayed image),
        `boxes` float32 [n, K, 4] (ymin, xmin, ymax, xmax in pixels of the displayed image, best
        first, then zeros), `box_scores` float32 [n, K] (-1 for unused rows), `image_height` and
        `image_width` int64 [n], pixels of the displayed image. A rejected image has zeros and box
        scores of -1. The displayed image has its EXIF orientation applied.
      embed: `image_bytes` string [n] -> `embedding` float32 [n, d], the pooled features of the
        backbone (zeros for a rejected image), `status` and `reason` string [n].
      examples: serialized records, string [n] -> `probabilities`, `score`, `raw` (before
        temperature scaling), `members` float32 [n, members * classes]; for a localization task
        also `boxes` float32 [n, K * 4], fractions of the displayed image, and `box_scores`. For
        TFMA and the Scorer.
      labels: serialized records, string [n] -> `label` int64 [n] (1: positive), `example_weight`
        float32 [n] (0: outside the task). For TFMA.
      transform_features: serialized records, string [n] -> all outputs of Transform.

    Args:
      network: float32 [n, size, size, 1] in 0 to 255 -> logits float32 [n, members, classes].
      variables: variables of the network.
      size: side of the images, pixels.
      transform: output of the Transform node.
      task: class names and positive classes.
      folder: folder of the SavedModel.
      decode_png: decodes the images written by Transform, string [n] -> uint8 [n, size, size, 1].
      features: float32 [n, size, size, 1] in 0 to 255 -> input of the heads, float32 [n, d].
      decision: calibration and operating point, chosen on validation.
      metadata: further entries of the metadata file.
      limits: limits of an image that a client sends.
      explain: float32 [n, size, size, 1] in 0 to 255 -> heat and boxes in the model's square.
      box_threshold: clients get boxes with at least this score; `examples` returns all boxes, which
        average precision and FROC need.

    Raises:
      ValueError: a localization task without `explain`, or a Transform graph that decodes images
        differently.
    """
    if task.located and explain is None:
        raise ValueError(f"task {task.name!r} needs `explain`, the function that computes boxes")
    layer = transform.transform_features_layer()
    fit = detect_fit(layer, size)
    parts = GraphParts(
        network=network,
        features=features,
        decode_png=decode_png,
        raw_spec=transform.raw_feature_spec(),
        task=task,
        decision=decision,
        limits=limits,
        size=size,
        fit=fit,
        explain=explain,
        box_threshold=box_threshold,
    )
    module = ServingModule(parts, layer, [variable.value for variable in variables])
    strings = tf.TensorSpec([None], tf.string)
    images = tf.TensorSpec([None], tf.string, name="image_bytes")
    signatures = {
        "serving_default": module.serve.get_concrete_function(images),
        "embed": module.embed.get_concrete_function(images),
        "examples": module.score_examples.get_concrete_function(strings),
        "labels": module.label_examples.get_concrete_function(strings),
        "transform_features": module.transform_examples.get_concrete_function(strings),
    }
    if explain:
        signatures["explain"] = module.explain.get_concrete_function(images)
    tf.saved_model.save(module, folder, signatures=signatures)
    file = Path(folder) / MODEL_INFO
    file.parent.mkdir(parents=True, exist_ok=True)
    facts = {
        "task": task.to_dict(),
        "classes": list(task.classes),
        "positive": [task.classes[i] for i in task.positive],
        "temperature": decision.temperature,
        "threshold": decision.threshold,
        "band": list(decision.band) if decision.band is not None else None,
        "image_size": size,
        "fit": fit,
        "limits": limits.to_dict(),
        "notice": NOTICE,
        **metadata,
    }
    file.write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n")
    write_warmup(Path(folder), others=("embed", "explain") if explain else ("embed",))
