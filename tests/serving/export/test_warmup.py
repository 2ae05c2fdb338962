import io

import numpy as np
import tensorflow as tf
from PIL import Image
from tensorflow_serving.apis import prediction_log_pb2

from serving.export.warmup import BATCHES, WARMUP, example_images
from tests.support.models.exported import Exported


def test_every_request_is_outputsed_by_the_model_beside_it(exported: Exported) -> None:
    records = tf.data.TFRecordDataset(str(exported.folder / WARMUP))
    logs = [prediction_log_pb2.PredictionLog.FromString(r) for r in records.as_numpy_iterator()]
    loaded = tf.saved_model.load(str(exported.folder))
    requests = []
    for log in logs:
        assert log.WhichOneof("log_type") == "predict_log"
        request = log.predict_log.request
        images = tf.constant(tf.make_ndarray(request.inputs["image_bytes"]))
        signature = loaded.signatures[request.model_spec.signature_name]
        outputs = signature(**dict.fromkeys(request.inputs, images))
        assert (outputs["status"].numpy() == b"OK").all()
        requests.append((request.model_spec.signature_name, len(images)))
    assert requests == [("serving_default", count) for count in BATCHES] + [
        ("embed", 1),
        ("explain", 1),
    ]


def test_pictures_have_the_forms_that_clients_send() -> None:
    opened = [Image.open(io.BytesIO(content)) for content in example_images(64)]
    assert [(image.format, image.mode) for image in opened] == [
        ("JPEG", "L"),
        ("JPEG", "RGB"),
        ("PNG", "L"),
    ]
    for image in opened:
        assert image.size == (64, 64)
        assert np.asarray(image).std() > 10
