"""What every endpoint answers over gRPC, to the messages of tensorflow-serving-api itself."""

import grpc
import pytest

from tests.contract.messages import apis, asked
from tests.support.server import Server


def test_status_and_metadata(channel: grpc.Channel, server: Server) -> None:
    api = apis()
    status = api.status()
    status.model_spec.name = server.name
    states = api.model_service(channel).GetModelStatus(status, timeout=60).model_version_status
    available = [s.version for s in states if s.state == 30]
    assert available
    metadata = api.metadata(metadata_field=["signature_def"])
    metadata.model_spec.name = server.name
    told = api.prediction_service(channel).GetModelMetadata(metadata, timeout=60)
    assert told.model_spec.version.value == max(available)
    signatures = api.signatures()
    assert told.metadata["signature_def"].Unpack(signatures)
    assert signatures.signature_def["serving_default"].inputs["image_bytes"].dtype == 7


def test_predict_without_any_metadata(
    channel: grpc.Channel, server: Server, images: list[bytes]
) -> None:
    import tensorflow as tf

    stub = apis().prediction_service(channel)
    answer = stub.Predict(asked(server, images), timeout=120)
    assert answer.model_spec.name == server.name
    assert answer.model_spec.signature_name == "serving_default"
    version = answer.model_spec.version.value
    outputs = {name: tf.make_ndarray(proto) for name, proto in answer.outputs.items()}
    assert outputs["score"].shape == (len(images),)
    assert outputs["score"].dtype == "float32"
    assert outputs["abstained"].dtype == "bool"
    assert set(outputs["status"].tolist()) == {b"OK"}
    assert outputs["probabilities"].shape == outputs["classes"].shape
    again = stub.Predict(asked(server, images, version=version), timeout=120)
    assert again.model_spec.version.value == version
    message = asked(server, images)
    message.output_filter.append("score")
    assert list(stub.Predict(message, timeout=120).outputs) == ["score"]
    message.output_filter.append("nope")
    with pytest.raises(grpc.RpcError) as caught:
        stub.Predict(message, timeout=120)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


CASES = {
    "unknown model": ({"name": "nobody"}, grpc.StatusCode.NOT_FOUND),
    "unknown version": ({"version": 987654}, grpc.StatusCode.NOT_FOUND),
    "unknown signature": ({"signature": "nope"}, grpc.StatusCode.INVALID_ARGUMENT),
}


@pytest.mark.parametrize("case", CASES)
def test_unknown(channel: grpc.Channel, server: Server, images: list[bytes], case: str) -> None:
    spec, code = CASES[case]
    with pytest.raises(grpc.RpcError) as caught:
        apis().prediction_service(channel).Predict(asked(server, images[:1], **spec), timeout=60)
    assert caught.value.code() is code


@pytest.mark.parametrize("case", ["dtype", "shape", "name", "no input"])
def test_wrong_inputs(
    channel: grpc.Channel, server: Server, images: list[bytes], case: str
) -> None:
    import tensorflow as tf

    message = asked(server, images[:1])
    if case == "dtype":
        message.inputs["image_bytes"].CopyFrom(tf.make_tensor_proto([1.0]))
    elif case == "shape":
        message.inputs["image_bytes"].CopyFrom(tf.make_tensor_proto([[images[0]]]))
    elif case == "name":
        message.inputs["pixels"].CopyFrom(message.inputs["image_bytes"])
        del message.inputs["image_bytes"]
    else:
        del message.inputs["image_bytes"]
    with pytest.raises(grpc.RpcError) as caught:
        apis().prediction_service(channel).Predict(message, timeout=60)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_deadline_that_is_over(
    channel: grpc.Channel, server: Server, images: list[bytes]
) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        apis().prediction_service(channel).Predict(asked(server, images), timeout=0.0005)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert apis().prediction_service(channel).Predict(asked(server, images), timeout=60)
