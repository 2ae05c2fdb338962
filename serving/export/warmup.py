"""Warm-up requests, which TF Serving replays before a new version answers anyone.

The first call of a graph plans and optimises it, and the first of a batch size prepares its
kernels: without these requests the first clients would wait for that.
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
      others: signatures that are asked about the least of these numbers.
    """
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    images = picture_files(SIDE)
    asked = [("serving_default", count) for count in batches]
    asked += [(signature, min(batches)) for signature in others]
    file = folder / WARMUP
    file.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(file)) as writer:
        for signature, count in asked:
            request = predict_pb2.PredictRequest()
            request.model_spec.name = "pneumo"
            request.model_spec.signature_name = signature
            batch = [images[i % len(images)] for i in range(count)]
            request.inputs["image_bytes"].CopyFrom(tf.make_tensor_proto(batch, tf.string))
            log = prediction_log_pb2.PredictionLog(
                predict_log=prediction_log_pb2.PredictLog(request=request)
            )
            writer.write(log.SerializeToString())


def picture_files(side: int) -> list[bytes]:
    """A drawn picture in the forms that clients send: gray JPEG, colour JPEG, gray PNG.

    No patient's image travels with a model: two light discs on dark ground stand for a chest.

    Args:
      side: of the square, pixels.
    """
    import numpy as np
    import tensorflow as tf

    y, x = np.mgrid[0:side, 0:side] / side
    chest = 200.0 - 120.0 * sum(
        np.exp(-(((x - centre) / 0.15) ** 2 + ((y - 0.5) / 0.3) ** 2)) for centre in (0.3, 0.7)
    )
    gray = chest.astype(np.uint8)[..., np.newaxis]
    return [
        tf.io.encode_jpeg(gray).numpy(),
        tf.io.encode_jpeg(gray.repeat(3, axis=-1)).numpy(),
        tf.io.encode_png(gray).numpy(),
    ]
