"""The gRPC half of TF Serving's contract: PredictionService and ModelService."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import grpc
import numpy as np
from google.protobuf.message import DecodeError

from serving.client import tf_serving_pb2 as pb
from serving.server.codec import Column, Spec, bad, numbers, signature_of
from serving.server.endpoint import Endpoint
from serving.server.errors import Code, ServeError

# TensorFlow's numbers of types -> numpy's, or "string"; those that a signature may reasonably have.
_TYPES = {
    1: "float32", 2: "float64", 3: "int32", 4: "uint8", 6: "int8", 7: "string", 9: "int64",
    10: "bool",
}  # fmt: skip
_NUMBERS = {name: number for number, name in _TYPES.items()}
_VALUES = {"float32": "float_val", "int64": "int64_val", "bool": "bool_val"}
_UNKNOWN = 2  # the error code of a version that is not served


def services(endpoint: Endpoint) -> list[grpc.GenericRpcHandler]:
    """The handlers for a grpc.aio server."""
    api = _Api(endpoint)
    of_service: dict[str, dict[str, tuple[Any, Any]]] = {
        "PredictionService": {
            "Predict": (pb.PredictRequest, api.predict),
            "GetModelMetadata": (pb.GetModelMetadataRequest, api.metadata),
        },
        "ModelService": {"GetModelStatus": (pb.GetModelStatusRequest, api.status)},
    }
    return [
        grpc.method_handlers_generic_handler(
            f"tensorflow.serving.{service}",
            {
                name: grpc.unary_unary_rpc_method_handler(api.answer(name.lower(), request, method))
                for name, (request, method) in methods.items()
            },
        )
        for service, methods in of_service.items()
    ]


class _Api:
    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint

    def answer(
        self, name: str, kind: Any, method: Callable[[Any, Any], Awaitable[Any]]
    ) -> Callable[[bytes, Any], Awaitable[bytes]]:
        """Wraps a method: bytes in, bytes out, errors as gRPC has them."""

        async def call(data: bytes, context: Any) -> bytes:
            try:
                with self.endpoint.counted("grpc", name):
                    try:
                        request = kind.FromString(data)
                    except DecodeError:
                        raise bad("the message cannot be read") from None
                    answered = await method(request, context)
                    done: bytes = answered.SerializeToString()
                    return done
            except ServeError as error:
                await context.abort(grpc.StatusCode[error.code.value], error.message)
                raise

        return call

    async def predict(self, request: Any, context: Any) -> Any:
        endpoint = self.endpoint
        spec = request.model_spec
        endpoint.models.check_name(spec.name)
        with endpoint.admitted():
            async with endpoint.models.use(_version(spec)) as (number, version):
                signature = spec.signature_name or "serving_default"
                inputs = _inputs(request.inputs, signature_of(signature, version.inputs))
                rows = {len(column) for column in inputs.values()}
                if len(rows) != 1 or rows == {0}:
                    raise bad("each input must have the same number of rows, and at least one")
                outputs = await endpoint.predict(
                    number, version, signature, inputs, rows.pop(), context.time_remaining()
                )
                wanted = list(request.output_filter) or list(outputs)
                if unknown := sorted(set(wanted) - set(outputs)):
                    raise bad(f"output tensor alias not found in signature: {unknown[0][:100]}")
                answer = pb.PredictResponse(
                    model_spec=self._spec(number, signature),
                    outputs={name: self._tensor(outputs[name]) for name in wanted},
                )
        return answer

    async def metadata(self, request: Any, _: Any) -> Any:
        spec = request.model_spec
        self.endpoint.models.check_name(spec.name)
        if list(request.metadata_field) != ["signature_def"]:
            raise bad("metadata_field must be signature_def, and nothing else")
        async with self.endpoint.models.use(_version(spec)) as (number, version):
            answer = pb.GetModelMetadataResponse(model_spec=self._spec(number, ""))
            packed = answer.metadata["signature_def"]
            packed.type_url = "type.googleapis.com/tensorflow.serving.SignatureDefMap"
            packed.value = version.facts["signature_def"]
        return answer

    async def status(self, request: Any, _: Any) -> Any:
        models, spec = self.endpoint.models, request.model_spec
        if spec.name != models.name:
            raise ServeError(
                Code.NOT_FOUND, f"Could not find any versions of model {spec.name[:100]}"
            )
        answer = pb.GetModelStatusResponse()
        for number, entry in models.status(_version(spec)).items():
            told = answer.model_version_status.add(version=number, state=int(entry.state))
            told.status.error_code = _UNKNOWN if entry.error else 0
            told.status.error_message = entry.error
        return answer

    def _spec(self, number: int, signature: str) -> Any:
        spec = pb.ModelSpec(name=self.endpoint.models.name, signature_name=signature)
        spec.version.value = number
        return spec

    def _tensor(self, values: Column) -> Any:
        """Rows of an output as TF Serving sends them: in the field of their type."""
        if not isinstance(values, np.ndarray):
            shape, flat = _shape(values), _flat(values)
            tensor = pb.TensorProto(dtype=_NUMBERS["string"], string_val=flat)
        else:
            shape = list(values.shape)
            name = values.dtype.name
            tensor = pb.TensorProto(dtype=_NUMBERS[name])
            if name in _VALUES:
                getattr(tensor, _VALUES[name]).extend(values.ravel().tolist())
            else:
                tensor.tensor_content = values.tobytes()
        tensor.tensor_shape.SetInParent()
        for size in shape:
            tensor.tensor_shape.dim.add(size=size)
        return tensor


def _version(spec: Any) -> int | None:
    if spec.version_label:
        raise bad(f"Unrecognized servable version label: {spec.version_label[:100]}")
    return spec.version.value if spec.HasField("version") else None


def _inputs(given: Any, wanted: Mapping[str, Spec]) -> dict[str, Column]:
    if set(given) != set(wanted):
        raise bad(f"the inputs are {sorted(given)}, the signature has {sorted(wanted)}"[:500])
    return {name: _column(name, given[name], spec) for name, spec in wanted.items()}


def _column(name: str, tensor: Any, spec: Spec) -> Column:
    got = _TYPES.get(tensor.dtype, f"type {tensor.dtype}")
    if got != spec.dtype:
        raise bad(f"input {name} must be {spec.dtype}; it is {got}")
    shape = [dim.size for dim in tensor.tensor_shape.dim]
    if len(shape) != len(spec.shape) or any(
        size < 0 or free not in (-1, size) for free, size in zip(spec.shape, shape, strict=True)
    ):
        raise bad(f"input {name} must have shape {list(spec.shape)}; it has {shape}")
    if spec.dtype == "string":
        values: list[bytes] = list(tensor.string_val)
        if len(shape) != 1 or len(values) != shape[0]:
            raise bad(f"input {name} has {len(values)} values for shape {shape}")
        return values
    if tensor.tensor_content:
        size = int(np.prod(shape)) * np.dtype(spec.dtype).itemsize
        if len(tensor.tensor_content) != size:
            raise bad(f"input {name} has {len(tensor.tensor_content)} bytes, not {size}")
        return np.frombuffer(tensor.tensor_content, spec.dtype).reshape(shape)
    flat = list(getattr(tensor, _VALUES.get(spec.dtype, "float_val")))
    if len(flat) != int(np.prod(shape)):
        raise bad(f"input {name} has {len(flat)} values for shape {shape}")
    return numbers(name, np.asarray(flat, spec.dtype).reshape(shape), spec)


def _shape(values: Any) -> list[int]:
    return [len(values), *_shape(values[0])] if isinstance(values, list) and values else []


def _flat(values: Any) -> list[bytes]:
    return [b for v in values for b in _flat(v)] if isinstance(values, list) else [values]
