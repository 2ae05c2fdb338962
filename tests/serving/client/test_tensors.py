"""Our subset of TF Serving's messages against tensorflow-serving-api's own, in one process."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
    predict_pb2,
)

from serving.client import tf_serving_pb2 as pb
from serving.client.tensors import string_tensor, to_list


def assert_same_bytes(ours: Any, theirs: Any) -> None:
    assert ours.SerializeToString(deterministic=True) == theirs.SerializeToString(
        deterministic=True
    )


@given(st.lists(st.binary(max_size=40), max_size=5), st.text(max_size=20), st.text(max_size=20))
def test_predict_request(images: list[bytes], name: str, signature: str) -> None:
    ours = pb.PredictRequest(
        model_spec={"name": name, "signature_name": signature},
        inputs={"image_bytes": string_tensor(images)},
        output_filter=["score"],
    )
    theirs = predict_pb2.PredictRequest(
        model_spec=model_pb2.ModelSpec(name=name, signature_name=signature),
        output_filter=["score"],
    )
    tensor = tf.make_tensor_proto(images, dtype=tf.string, shape=[len(images)])
    theirs.inputs["image_bytes"].CopyFrom(tensor)
    assert_same_bytes(ours, theirs)


def test_model_spec() -> None:
    for ours in (
        pb.ModelSpec(name="a", version={"value": 12}),
        pb.ModelSpec(name="a", version_label="stable"),
    ):
        assert_same_bytes(ours, model_pb2.ModelSpec.FromString(ours.SerializeToString()))
    ours = pb.ModelSpec(version={"value": 12}, version_label="stable")
    assert ours.WhichOneof("version_choice") == "version_label"


def test_status_and_metadata() -> None:
    theirs = get_model_status_pb2.GetModelStatusResponse()
    row = theirs.model_version_status.add(version=3, state="END")
    row.status.error_code, row.status.error_message = 2, "no"
    status = pb.ModelVersionStatus(
        version=3, state="END", status={"error_code": 2, "error_message": "no"}
    )
    assert_same_bytes(pb.GetModelStatusResponse(model_version_status=[status]), theirs)
    defined = get_model_metadata_pb2.SignatureDefMap()
    info = defined.signature_def["embed"].outputs["embedding"]
    info.name, info.dtype = "StatefulPartitionedCall:0", pb.DT_FLOAT
    info.tensor_shape.dim.add(size=-1)
    metadata = get_model_metadata_pb2.GetModelMetadataResponse()
    metadata.metadata["signature_def"].Pack(defined)
    read = pb.GetModelMetadataResponse.FromString(metadata.SerializeToString())
    assert_same_bytes(pb.SignatureDefMap.FromString(read.metadata["signature_def"].value), defined)


@pytest.mark.parametrize(
    "values",
    [
        np.arange(12, dtype=np.float32).reshape(2, 3, 2) / 7,
        np.full((3, 4), 0.25, np.float32),  # repeated values are left out
        np.array([[1, -5], [2**40, 0]], np.int64),
        np.array([True, False, True]),
        np.array([[b"NORMAL", "BÄCTERIA".encode()]], object),
        np.zeros((0, 3), np.float32),
        np.zeros((2, 0), np.float32),
    ],
)
def test_values(values: np.ndarray) -> None:
    expected = values.tolist()
    if values.dtype == object:
        expected = [[cell.decode() for cell in row] for row in expected]
    packed = pb.TensorProto.FromString(tf.make_tensor_proto(values).SerializeToString())
    assert to_list(packed) == expected
    field = {"f": "float_val", "i": "int64_val", "b": "bool_val"}.get(values.dtype.kind)
    if field:  # the other form that a server may send
        packed.ClearField("tensor_content")
        packed.ClearField(field)
        getattr(packed, field).extend(values.ravel().tolist())
        assert to_list(packed) == expected


@pytest.mark.parametrize(
    ("tensor", "reason"),
    [
        ({"dtype": pb.DT_FLOAT, "float_val": [1.0]}, "scalar"),
        ({"dtype": 3, "tensor_shape": {"dim": [{"size": 1}]}}, "dtype 3"),
        ({"dtype": pb.DT_FLOAT, "tensor_shape": {"dim": [{"size": 2}]}}, "0 values"),
        (
            {
                "dtype": pb.DT_FLOAT,
                "tensor_shape": {"dim": [{"size": 1}]},
                "tensor_content": b"1234" * 2,
            },
            "2 values",
        ),
    ],
)
def test_invalid_tensors(tensor: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        to_list(pb.TensorProto(**tensor))


def test_the_client_imports_no_tensorflow() -> None:
    """In a process of its own: a client of both protocols, used as far as a refused connection."""
    code = (
        "import sys\n"
        "from serving.client import Client, ClientError\n"
        "from serving.client.retry import Retry\n"
        "for url in ('http://127.0.0.1:9', 'grpc://127.0.0.1:9'):\n"
        "    with Client(url, retry=Retry(patience=0)) as client:\n"
        "        try:\n"
        "            client.call('serving_default', [b'x'])\n"
        "        except ClientError as error:\n"
        "            print(error.code)\n"
        "heavy = {'tensorflow', 'keras', 'tfx', 'apache_beam', 'numpy', 'tensorflow_serving'}\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} & heavy))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:3] == ["UNAVAILABLE", "UNAVAILABLE", "[]"]
