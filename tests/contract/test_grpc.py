"""What every endpoint answers over gRPC, to the messages of tensorflow-serving-api itself."""

from typing import Any

import grpc
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
)

from tests.support.serving.server import Server, grpc_error_code, predict_over_grpc, request


def test_status_and_metadata(channel: grpc.Channel, server: Server) -> None:
    status = get_model_status_pb2.GetModelStatusRequest()
    status.model_spec.name = server.name
    stub = model_service_pb2_grpc.ModelServiceStub(channel)
    states = stub.GetModelStatus(status, timeout=60).model_version_status
    available = [s.version for s in states if s.state == 30]
    assert available
    metadata = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    metadata.model_spec.name = server.name
    prediction = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    found = prediction.GetModelMetadata(metadata, timeout=60)
    assert found.model_spec.version.value == max(available)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert found.metadata["signature_def"].Unpack(signatures)
    assert signatures.signature_def["serving_default"].inputs["image_bytes"].dtype == 7


def test_predict(channel: grpc.Channel, server: Server, images: list[bytes]) -> None:
    answer = predict_over_grpc(channel, request(server.name, images))
    assert answer.model_spec.name == server.name
    assert answer.model_spec.signature_name == "serving_default"
    version = answer.model_spec.version.value
    outputs = {name: tf.make_ndarray(proto) for name, proto in answer.outputs.items()}
    assert outputs["score"].shape == (len(images),)
    assert outputs["score"].dtype == "float32"
    assert list(answer.outputs["score"].float_val) == outputs["score"].tolist()
    assert outputs["abstained"].dtype == "bool"
    assert set(outputs["status"].tolist()) == {b"OK"}
    assert outputs["probabilities"].shape == outputs["classes"].shape
    again = predict_over_grpc(channel, request(server.name, images, version=version))
    assert again.model_spec.version.value == version
    message = request(server.name, images)
    message.output_filter.append("score")
    assert list(predict_over_grpc(channel, message).outputs) == ["score"]
    message.output_filter.append("nope")
    assert grpc_error_code(channel, message) is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    "spec, code",
    [
        ({"name": "nobody"}, grpc.StatusCode.NOT_FOUND),
        ({"version": 987654}, grpc.StatusCode.NOT_FOUND),
        ({"signature": "nope"}, grpc.StatusCode.INVALID_ARGUMENT),
    ],
)
def test_unknown(
    channel: grpc.Channel,
    server: Server,
    images: list[bytes],
    spec: dict[str, Any],
    code: grpc.StatusCode,
) -> None:
    message = request(**{"name": server.name, "images": images[:1], **spec})
    assert grpc_error_code(channel, message) is code


@pytest.mark.parametrize("case", ["dtype", "shape", "name", "no input", "label"])
def test_wrong_requests(
    channel: grpc.Channel, server: Server, images: list[bytes], case: str
) -> None:
    message = request(server.name, images[:1])
    image = message.inputs["image_bytes"]
    if case == "dtype":
        image.CopyFrom(tf.make_tensor_proto([1.0]))
    elif case == "shape":
        image.CopyFrom(tf.make_tensor_proto([[images[0]]]))
    elif case == "label":
        message.model_spec.version_label = "stable"
    else:
        if case == "name":
            message.inputs["pixels"].CopyFrom(image)
        del message.inputs["image_bytes"]
    assert grpc_error_code(channel, message) is grpc.StatusCode.INVALID_ARGUMENT


def test_a_deadline_that_is_over(
    channel: grpc.Channel, server: Server, images: list[bytes]
) -> None:
    message = request(server.name, images)
    assert grpc_error_code(channel, message, timeout=0.0005) is grpc.StatusCode.DEADLINE_EXCEEDED
    assert predict_over_grpc(channel, message)
