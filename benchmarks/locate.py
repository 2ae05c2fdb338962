"""What an image costs on the way to its boxes: decoding, network, decoding of boxes.

Xception at the size of the configuration `locate`, random weights (the arithmetic is the same), one
dense head. Every part sees batches of the same 32 synthetic radiographs, in turns; medians of the
clock, milliseconds an image. `over_classifier` is the network with its dense head over the trunk
and a linear head, what a classifier costs.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

IMAGES, TURNS = 32, 7


def bench() -> dict[str, Any]:
    """Milliseconds an image of each part, and the ratio to a classifier."""
    import tensorflow as tf

    from components.detector.decode import decode, finish
    from components.dicom.load import to_png
    from components.phantom.dataset import draw_image
    from components.phantom.plan import cohort
    from components.phantom.radiograph import to_dicom
    from pipeline.config import load_config
    from serving.guard import Limits, read_images

    model = load_config("locate").model
    assert model.image_size is not None
    assert model.detector is not None
    size, options = model.image_size, model.detector
    patients = [patient for patient, _ in cohort(0, 3 * IMAGES)][:IMAGES]
    drawn = [draw_image(0, patient, 0, 1024).pixels for patient in patients]
    files = [tf.io.encode_jpeg(of[..., np.newaxis], quality=92).numpy() for of in drawn]
    dicoms = [
        to_dicom(content, *of.shape, 0, patient, 0)
        for content, of, patient in zip(files, drawn, patients, strict=True)
    ]
    jpegs = tf.constant(files)
    locator = build(size, model.trunk, options)
    heat_of = tf.function(
        lambda x: locator.dense(locator.pyramid(x, training=False)), autograph=False
    )
    classify = tf.function(
        lambda x: locator.network.logits_of([locator.pyramid(x, training=False)[-1]]),
        autograph=False,
    )
    read = tf.function(lambda x: read_images(x, size, "stretch", Limits()).pixels, autograph=False)
    score = tf.fill([IMAGES], 0.5)

    @tf.function(autograph=False)
    def boxes_of(heat: tf.Tensor, geometry: tf.Tensor) -> Any:
        return finish(*decode(heat, geometry, options.nms_iou), score, "product", 1.0)

    pixels = tf.cast(read(jpegs), tf.float32)
    # A new head is flat; true heat has a few peaks an image.
    rng = np.random.default_rng(0)
    heat, geometry = heat_of(pixels)
    heat = tf.constant(rng.uniform(0, 0.3, heat.shape).astype(np.float32))
    parts: dict[str, Callable[[], Any]] = {
        "jpeg_1024_decoded_and_resized": lambda: read(jpegs),
        "dicom_1024_to_png": lambda: [to_png(content) for content in dicoms],
        "network": lambda: heat_of(pixels),
        "classifier": lambda: classify(pixels),
        "boxes_decoded": lambda: boxes_of(heat, geometry),
    }
    spent: dict[str, list[float]] = {name: [] for name in parts}
    for part in parts.values():
        part()
    for _ in range(TURNS):
        for name, part in parts.items():
            started = time.perf_counter()
            part()
            spent[name].append((time.perf_counter() - started) * 1e3 / IMAGES)
    found: dict[str, Any] = {f"{name}_ms": float(np.median(of)) for name, of in spent.items()}
    found["over_classifier"] = found["network_ms"] / found["classifier_ms"]
    return found


def build(size: int, trunk: str, options: Any) -> Any:
    """A locator of one seed that has learned nothing."""
    import keras

    from components.detector.head import build_dense_head
    from components.detector.network import Locator
    from components.detector.train import Detector
    from components.trainer.head import build_head
    from components.trainer.network import Member, Network
    from components.trainer.options import ModelOptions
    from components.trainer.pyramid import build_pyramid

    keras.utils.set_random_seed(0)
    pyramid = build_pyramid(trunk, size, None, options.levels)
    shapes = [tuple(of.shape[1:]) for of in pyramid.whole.outputs[: len(pyramid.levels)]]
    scaling = [(np.zeros(of[2], np.float32), np.ones(of[2], np.float32)) for of in shapes]
    dense = build_dense_head(shapes, scaling, options, 0)
    channels = pyramid.whole.outputs[-1].shape[-1]
    plain = np.zeros(channels, np.float32), np.ones(channels, np.float32)
    head = build_head(*plain, 2, ModelOptions(trunk=trunk))
    network = Network(pyramid.whole, (Member(head, None),), "avg")
    return Locator(pyramid.whole, len(shapes), network, (Detector(dense, None, dense),))
