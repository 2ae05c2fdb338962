"""Client transport for TensorFlow Serving's gRPC API."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from serving.client import tf_serving_pb2 as pb
from serving.client.errors import ClientError
from serving.client.tensors import string_tensor, to_list

_SERVICES = "/tensorflow.serving."


class GrpcTransport:
    """gRPC connection to one server; thread-safe.

    Args:
      endpoint: the address as the user gave it.
      target: host:port.
      name: model name.
      timeout: seconds per request.
      headers: sent as metadata with each request.
      secure: use TLS.
      ca_file: PEM file of trusted certificates; None for gRPC's defaults.
    """

    def __init__(
        self,
        endpoint: str,
        target: str,
        name: str,
        timeout: float,
        headers: dict[str, str],
        secure: bool,
        ca_file: str | None,
    ) -> None:
        import grpc

        self.endpoint, self._name, self._timeout = endpoint, name, timeout
        self._headers = [(key.lower(), value) for key, value in headers.items()]
        options = [
            ("grpc.max_send_message_length", -1),  # limited by the server
            ("grpc.max_receive_message_length", 256 << 20),
            ("grpc.enable_retries", 0),  # the client retries, as over REST
            # Longest pause between reconnects; the default of two minutes exceeds the retries.
            ("grpc.max_reconnect_backoff_ms", 2000),
        ]
        if secure:
            roots = Path(ca_file).read_bytes() if ca_file else None
            trust = grpc.ssl_channel_credentials(roots)
            self._channel = grpc.secure_channel(target, trust, options)
        else:
            self._channel = grpc.insecure_channel(target, options)
        self._predict = self._method(
            "PredictionService/Predict", pb.PredictRequest, pb.PredictResponse
        )
        self._metadata = self._method(
            "PredictionService/GetModelMetadata",
            pb.GetModelMetadataRequest,
            pb.GetModelMetadataResponse,
        )
        self._status = self._method(
            "ModelService/GetModelStatus", pb.GetModelStatusRequest, pb.GetModelStatusResponse
        )

    def predict(self, signature: str, images: Sequence[bytes]) -> list[dict[str, Any]]:
        """Returns the outputs of each image by name."""
        request = pb.PredictRequest(
            model_spec={"name": self._name, "signature_name": signature},
            inputs={"image_bytes": string_tensor(images)},
        )
        response = self._call(self._predict, request)
        try:
            columns = {name: to_list(tensor) for name, tensor in response.outputs.items()}
        except ValueError as error:
            raise ClientError(self.endpoint, "BAD_ANSWER", str(error)) from error
        lengths = {len(column) for column in columns.values()}
        if len(lengths) != 1:
            raise ClientError(self.endpoint, "BAD_ANSWER", "outputs of different lengths")
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    def status(self) -> dict[int, str]:
        """Version -> state."""
        request = pb.GetModelStatusRequest(model_spec={"name": self._name})
        response = self._call(self._status, request)
        states = pb.ModelVersionStatus.State
        known = states.values()
        return {
            version.version: states.Name(version.state if version.state in known else 0)
            for version in response.model_version_status
        }

    def signatures(self) -> dict[str, list[str]]:
        """Returns signature -> names of its outputs."""
        request = pb.GetModelMetadataRequest(
            model_spec={"name": self._name}, metadata_field=["signature_def"]
        )
        response = self._call(self._metadata, request)
        packed = response.metadata["signature_def"].value
        definitions = pb.SignatureDefMap.FromString(packed).signature_def
        return {name: sorted(item.outputs) for name, item in definitions.items()}

    def close(self) -> None:
        """Closes the channel."""
        self._channel.close()

    def _method(self, name: str, request: Any, response: Any) -> Callable[..., Any]:
        method: Callable[..., Any] = self._channel.unary_unary(
            _SERVICES + name,
            request_serializer=request.SerializeToString,
            response_deserializer=response.FromString,
        )
        return method

    def _call(self, method: Callable[..., Any], request: Any) -> Any:
        import grpc

        try:
            return method(request, timeout=self._timeout, metadata=self._headers)
        except grpc.RpcError as error:
            code, reason = error.code().name, error.details() or "no reason given"
            # gRPC uses the same code for an overloaded server and for a too large message.
            if code == "RESOURCE_EXHAUSTED" and "larger than max" in reason:
                code = "TOO_LARGE"
            raise ClientError(self.endpoint, code, reason) from error
