"""Warm-up requests, which TF Serving replays before a new version receives traffic.

The first call of a graph optimizes it, and the first call of a batch size prepares its kernels;
without these requests the first clients would wait for that.
"""

from pathlib import Path
from typing import Final

from schema.model_folder import WARMUP

BATCHES: Final = (1, 4, 32)
SIDE: Final = 512


def write_warmup(
    folder: Path, batches: tuple[int, ...] = BATCHES, others: tuple[str, ...] = ("embed",)
) -> None:
    """Writes the requests beside a SavedModel: TFRecords of `tensorflow.serving.PredictionLog`.

    Args:
      folder: of the SavedModel.
      batches: number of images of each request for `serving_default`.
      others: further signatures, called once with the smallest batch.
    """
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    images = example_images(SIDE)
    calls = [("serving_default", count) for count in batches]
    calls += [(signature, min(batches)) for signature in others]
    file = folder / WARMUP
    file.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(file)) as writer:
        for signature, count in calls:
            request = predict_pb2.PredictRequest()
            request.model_spec.name = "pneumo"
            request.model_spec.signature_name = signature
            batch = [images[i % len(images)] for i in range(count)]
            request.inputs["image_bytes"].CopyFrom(tf.make_tensor_proto(batch, tf.string))
            log = prediction_log_pb2.PredictionLog(
                predict_log=prediction_log_pb2.PredictLog(request=request)
            )
            writer.write(log.SerializeToString())


def example_images(side: int) -> list[bytes]:
    """Encodes a synthetic image as gray JPEG, color JPEG and gray PNG.

    The image, two dark ellipses on a light ground, replaces that of a patient.

    Args:
      side: of the square, pixels.
    """
    import numpy as np
    import tensorflow as tf

    y, x = np.mgrid[0:side, 0:side] / side
    chest = 200.0 - 120.0 * sum(
        np.exp(-(((x - center) / 0.15) ** 2 + ((y - 0.5) / 0.3) ** 2)) for center in (0.3, 0.7)
    )
    gray = chest.astype(np.uint8)[..., np.newaxis]
    return [
        tf.io.encode_jpeg(gray).numpy(),
        tf.io.encode_jpeg(gray.repeat(3, axis=-1)).numpy(),
        tf.io.encode_png(gray).numpy(),
    ]
