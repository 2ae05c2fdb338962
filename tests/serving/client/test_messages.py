"""Our description of TF Serving's messages against tensorflow-serving-api's own."""

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

from serving.client.messages import DT_FLOAT, messages, strings, to_list


def same(ours: Any, theirs: Any) -> None:
    assert ours.SerializeToString(deterministic=True) == theirs.SerializeToString(
        deterministic=True
    )


@given(st.lists(st.binary(max_size=40), max_size=5), st.text(max_size=20), st.text(max_size=20))
def test_a_request_has_the_same_bytes(images: list[bytes], name: str, signature: str) -> None:
    ours = messages().PredictRequest(
        model_spec={"name": name, "signature_name": signature},
        inputs={"image_bytes": strings(images), "another": strings([])},
        output_filter=["score"],
    )
    theirs = predict_pb2.PredictRequest(
        model_spec=model_pb2.ModelSpec(name=name, signature_name=signature),
        output_filter=["score"],
    )
    # make_tensor_proto packs no strings into tensor_content, and so does the client.
    for key, values in (("image_bytes", images), ("another", [])):
        theirs.inputs[key].CopyFrom(
            tf.make_tensor_proto(values, dtype=tf.string, shape=[len(values)])
        )
    same(ours, theirs)


def test_the_version_has_the_same_bytes() -> None:
    kinds = messages()
    by_number = kinds.ModelSpec(name="a")
    by_number.version.value = 12
    theirs = model_pb2.ModelSpec(name="a")
    theirs.version.value = 12
    same(by_number, theirs)
    same(
        kinds.ModelSpec(name="a", version_label="stable"),
        model_pb2.ModelSpec(name="a", version_label="stable"),
    )
    by_number.version_label = "stable"  # one or the other
    assert not by_number.HasField("version")


def test_status_and_metadata_have_the_same_bytes() -> None:
    kinds = messages()
    ours = kinds.GetModelStatusResponse(
        model_version_status=[
            {"version": 3, "state": 50, "status": {"error_code": 2, "error_message": "no"}}
        ]
    )
    theirs = get_model_status_pb2.GetModelStatusResponse()
    row = theirs.model_version_status.add(version=3, state="END")
    row.status.error_code, row.status.error_message = 2, "no"
    same(ours, theirs)
    same(
        kinds.GetModelMetadataRequest(model_spec={"name": "x"}, metadata_field=["signature_def"]),
        get_model_metadata_pb2.GetModelMetadataRequest(
            model_spec=model_pb2.ModelSpec(name="x"), metadata_field=["signature_def"]
        ),
    )
    defined = get_model_metadata_pb2.SignatureDefMap()
    info = defined.signature_def["embed"].outputs["embedding"]
    info.name, info.dtype = "StatefulPartitionedCall:0", DT_FLOAT
    info.tensor_shape.dim.add(size=-1)
    read = kinds.SignatureDefMap.FromString(defined.SerializeToString())
    same(read, defined)
    assert read.signature_def["embed"].outputs["embedding"].tensor_shape.dim[0].size == -1


@pytest.mark.parametrize(
    "values",
    [
        np.array([0.1, -1.0, 3e-30], np.float32),
        np.arange(12, dtype=np.float32).reshape(2, 3, 2) / 7,
        np.full((3, 4), 0.25, np.float32),
        np.array([[1, -5], [2**40, 0]], np.int64),
        np.array([True, False, True]),
        np.array([[b"NORMAL", "BÄCTERIA".encode()]], object),
        np.zeros((0, 3), np.float32),
    ],
)
def test_values_come_back_as_they_were(values: np.ndarray) -> None:
    expected = values.tolist()
    if values.dtype == object:
        expected = [[cell.decode() for cell in row] for row in expected]
    packed = tf.make_tensor_proto(values)
    by_content = messages().TensorProto.FromString(packed.SerializeToString())
    assert to_list(by_content) == expected
    # The other way that a server may take: one field for each type.
    spread = messages().TensorProto.FromString(
        tf.compat.v1.make_tensor_proto(values, shape=values.shape).SerializeToString()
    )
    spread.ClearField("tensor_content")
    name = {"f": "float_val", "i": "int64_val", "b": "bool_val"}.get(values.dtype.kind)
    if name:
        spread.ClearField(name)
        getattr(spread, name).extend(values.ravel().tolist())
        assert to_list(spread) == expected


def test_a_repeated_last_value_may_be_left_out() -> None:
    tensor = messages().TensorProto(
        dtype=DT_FLOAT, tensor_shape={"dim": [{"size": 2}, {"size": 2}]}, float_val=[1.0, 2.0]
    )
    assert to_list(tensor) == [[1.0, 2.0], [2.0, 2.0]]


@pytest.mark.parametrize(
    ("tensor", "says"),
    [
        ({"dtype": DT_FLOAT, "float_val": [1.0]}, "scalar"),
        ({"dtype": 3, "tensor_shape": {"dim": [{"size": 1}]}}, "type 3"),
        ({"dtype": DT_FLOAT, "tensor_shape": {"dim": [{"size": 2}]}}, "0 values"),
        (
            {
                "dtype": DT_FLOAT,
                "tensor_shape": {"dim": [{"size": 1}]},
                "tensor_content": b"1234" * 2,
            },
            "2 values",
        ),
    ],
)
def test_strange_tensors_are_told(tensor: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        to_list(messages().TensorProto(**tensor))


def test_the_client_brings_no_tensorflow() -> None:
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
