"""Messages of tensorflow-serving-api."""

from typing import Any

from google.protobuf import wrappers_pb2

from tests.support.server import Server


def apis() -> Any:
    from tensorflow_serving.apis import (
        get_model_metadata_pb2,
        get_model_status_pb2,
        model_service_pb2_grpc,
        predict_pb2,
        prediction_service_pb2_grpc,
    )

    class Apis:
        predict = predict_pb2.PredictRequest
        metadata = get_model_metadata_pb2.GetModelMetadataRequest
        signatures = get_model_metadata_pb2.SignatureDefMap
        status = get_model_status_pb2.GetModelStatusRequest
        prediction_service = prediction_service_pb2_grpc.PredictionServiceStub
        model_service = model_service_pb2_grpc.ModelServiceStub

    return Apis


def asked(server: Server, images: list[bytes], **spec: Any) -> Any:
    import tensorflow as tf

    message = apis().predict()
    message.model_spec.name = spec.get("name", server.name)
    message.model_spec.signature_name = spec.get("signature", "")
    if "version" in spec:
        message.model_spec.version.CopyFrom(wrappers_pb2.Int64Value(value=spec["version"]))
    message.inputs["image_bytes"].CopyFrom(tf.make_tensor_proto(images, tf.string))
    return message
