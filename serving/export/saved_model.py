"""Writes the SavedModel.

Signatures for records send an image through the graph that Transform wrote; those for clients
through the code that it was traced from, guarded (`serving.export.guard`). Export fails if the two
differ in a pixel. So training and serving cannot decode an image in two ways.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from core.models.decision_rule import DecisionRule
from schema.labels import Task
from schema.model_folder import MODEL_INFO
from serving.export.guard import Limits, fit_of
from serving.export.signatures import Layer, Parts, Radiograph
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
    of: Task,
    folder: str,
    *,
    pixels_of: Layer,
    features: Layer,
    decision: DecisionRule,
    about: dict[str, Any],
    limits: Limits = Limits(),  # noqa: B008  frozen
    explain: "Callable[[tf.Tensor], Explanation] | None" = None,
    box_threshold: float = 0.0,
) -> None:
    """Writes the SavedModel, facts about it and warm-up requests.

    Signatures, n images each:
      serving_default: `image_bytes` string [n], JPEG or PNG files -> `probabilities` float32
        [n, classes] (calibrated), `score` float32 [n] (of the positive classes together),
        `decision` string [n] (POSITIVE, NEGATIVE, REFER in the band of abstention, or REJECTED),
        `abstained` bool [n] (of the latter two), `predicted_class` string [n], `classes` string
        [n, classes], `status` string [n] (see `guard.read_images`). A rejected image has -1 for
        every number and "" for its class; it changes no bit of its neighbours' answers.
      explain (with `explain`): `image_bytes` string [n] -> all that serving_default gives,
        `heatmap` float32 [n, h, w], 0..1, cells of equal size that cover the displayed image,
        `boxes` float32 [n, K, 4] (ymin, xmin, ymax, xmax in pixels of the displayed image, best
        first, zeros after the last), `box_scores` float32 [n, K] (-1 after the last),
        `image_height` and `image_width` int64 [n], of the displayed image. A rejected image has 0
        everywhere and -1 for scores. "Displayed": the EXIF orientation is applied.
        For a task that locates, serving_default has these `boxes` and `box_scores` too.
      embed: `image_bytes` string [n] -> `embedding` float32 [n, d], the pooled features of the
        backbone (zeros for a rejected image), `status` string [n].
      examples: serialized records, string [n] -> `probabilities`, `score`, `raw` (before
        temperature), `members` float32 [n, members * classes]. For TFMA and Scorer. For a task that
        locates also `boxes` float32 [n, K * 4], in parts of the displayed image, and `box_scores`.
      labels: serialized records, string [n] -> `label` int64 [n] (1: positive), `example_weight`
        float32 [n] (0: outside the task). For TFMA.
      transform_features: serialized records, string [n] -> all outputs of Transform.

    Args:
      network: float32 [n, size, size, 1] in 0..255 -> logits float32 [n, members, classes].
      variables: of the network.
      size: side of the images, pixels.
      transform: output of the Transform node.
      of: the task; gives names and the positive classes.
      folder: where the SavedModel goes.
      pixels_of: reads the images that Transform encoded, string [n] -> uint8 [n, size, size, 1].
      features: float32 [n, size, size, 1] in 0..255 -> input of the heads, float32 [n, d].
      decision: calibration and operating point, chosen on validation.
      about: facts about the model, stored beside it as JSON.
      limits: bounds on the size of a client's image.
      explain: float32 [n, size, size, 1] in 0..255 -> heat and boxes in the model's square.
      box_threshold: clients get boxes whose score is at or above it; `examples` has all, because
        average precision and FROC need them.

    Raises:
      ValueError: a task that locates without `explain`; Transform's graph and this code read
        different pixels.
    """
    if of.located and explain is None:
        raise ValueError(f"task {of.name!r} locates, and there is nothing that does")
    layer = transform.transform_features_layer()
    fit = fit_of(layer, size)
    parts = Parts(
        network=network,
        features=features,
        pixels_of=pixels_of,
        raw_spec=transform.raw_feature_spec(),
        task=of,
        decision=decision,
        limits=limits,
        size=size,
        fit=fit,
        explain=explain,
        box_threshold=box_threshold,
    )
    module = Radiograph(parts, layer, [variable.value for variable in variables])
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
    extra = Path(folder) / MODEL_INFO
    extra.parent.mkdir(parents=True, exist_ok=True)
    facts = {
        "task": of.to_dict(),
        "classes": list(of.classes),
        "positive": [of.classes[i] for i in of.positive],
        "temperature": decision.temperature,
        "threshold": decision.threshold,
        "band": list(decision.band) if decision.band is not None else None,
        "image_size": size,
        "fit": fit,
        "limits": limits.to_dict(),
        "notice": "Research software, not a medical device.",
        **about,
    }
    extra.write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n")
    write_warmup(Path(folder), others=("embed", "explain") if explain else ("embed",))
