"""TensorFlow Serving's gRPC services: PredictionService and ModelService."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import grpc
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from serving.server.api.codec import input_of
from serving.server.endpoint import Endpoint
from serving.server.errors import ServeError, invalid

# TensorFlow Serving sends numbers in typed fields; make_tensor_proto packs them as bytes.
_FIELDS = {"float32": "float_val", "int64": "int64_val", "bool": "bool_val"}
_UNKNOWN = 2  # gRPC code that is reported for a broken version


def add_services(endpoint: Endpoint, server: grpc.aio.Server) -> None:
    """Registers both services; methods that are not defined here return UNIMPLEMENTED."""
    prediction, model = _Prediction(endpoint), _Model(endpoint)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(prediction, server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(model, server)


@contextlib.asynccontextmanager
async def _handling(endpoint: Endpoint, method: str, context: Any) -> AsyncIterator[None]:
    try:
        with endpoint.observe("grpc", method):
            yield
    except ServeError as error:
        await context.abort(error.code, error.message)


class _Prediction(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint

    async def Predict(self, request: Any, context: Any) -> Any:
        name, signature = request.model_spec.name, request.model_spec.signature_name
        async with (
            _handling(self.endpoint, "predict", context),
            self.endpoint.admit(name, _number(request.model_spec)) as used,
        ):
            signature = signature or "serving_default"
            images = _images(request.inputs, input_of(signature, used[1].signatures))
            seconds = context.time_remaining() or 0
            outputs = await self.endpoint.predict(used, signature, images, seconds)
            names = list(request.output_filter) or list(outputs)
            if unknown := set(names) - set(outputs):
                raise invalid(f"output tensor alias not found in signature: {unknown}")
            response = predict_pb2.PredictResponse(model_spec=_spec(name, used[0], signature))
            for key in names:
                response.outputs[key].CopyFrom(_to_proto(outputs[key]))
            return response

    async def GetModelMetadata(self, request: Any, context: Any) -> Any:
        name = request.model_spec.name
        async with (
            _handling(self.endpoint, "getmodelmetadata", context),
            self.endpoint.models.use(name, _number(request.model_spec)) as (number, model),
        ):
            if list(request.metadata_field) != ["signature_def"]:
                raise invalid("metadata_field must be [signature_def]")
            spec = _spec(name, number, "")
            response = get_model_metadata_pb2.GetModelMetadataResponse(model_spec=spec)
            response.metadata["signature_def"].Pack(model.metadata)
            return response


class _Model(model_service_pb2_grpc.ModelServiceServicer):
    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint

    async def GetModelStatus(self, request: Any, context: Any) -> Any:
        spec = request.model_spec
        async with _handling(self.endpoint, "getmodelstatus", context):
            response = get_model_status_pb2.GetModelStatusResponse()
            for number, version in self.endpoint.models.status(spec.name, _number(spec)).items():
                added = response.model_version_status.add(version=number, state=int(version.state))
                added.status.error_code = _UNKNOWN if version.error else 0
                added.status.error_message = version.error
            return response


def _number(spec: Any) -> int | None:
    if spec.version_label:
        raise invalid(f"Unrecognized servable version label: {spec.version_label}")
    return spec.version.value if spec.HasField("version") else None


def _spec(name: str, number: int, signature: str) -> Any:
    spec = model_pb2.ModelSpec(name=name, signature_name=signature)
    spec.version.value = number
    return spec


def _images(inputs: Any, name: str) -> list[bytes]:
    if set(inputs) != {name}:
        raise invalid(f"the request has inputs {sorted(inputs)}, the signature has {name}")
    images = list(inputs[name].string_val)
    shape = [dim.size for dim in inputs[name].tensor_shape.dim]
    if inputs[name].dtype != tf.string.as_datatype_enum or shape != [len(images)]:
        raise invalid(f"input {name} must be a string tensor of shape [rows], not {shape}")
    return images


def _to_proto(values: Any) -> Any:
    proto = tf.make_tensor_proto(values)
    if field := _FIELDS.get(values.dtype.name):
        proto.tensor_content = b""
        getattr(proto, field)[:] = values.ravel().tolist()
    return proto
