"""Stand-in for a TensorFlow Serving endpoint with configurable faults, for tests of clients.

The prediction of an image is derived from a hash of its bytes. tests/contract checks real servers
against the same API. The gRPC part uses the messages of tensorflow-serving-api.
"""

import base64
import hashlib
import json
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent import futures
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import numpy as np

from schema.errors import PneumoError
from serving.predict.dicom import render

CLASSES = ["NORMAL", "BACTERIA", "VIRUS"]
BAND, THRESHOLD = (0.4, 0.6), 0.5
NAME = "pneumo"


def row_of(content: bytes) -> dict[str, Any]:
    """Returns the outputs for one image: float32 values, as those of the SavedModel."""
    status, reason = "OK", ""
    if not content:
        status, reason = "EMPTY", "the file is empty"
    elif not content.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")):
        status, reason = "NOT_JPEG_OR_PNG", "not a JPEG or PNG file"
    elif len(content) < 60:
        status, reason = "TRUNCATED", "the file is truncated (no end of image)"
    value = int.from_bytes(hashlib.sha256(content).digest()[:4], "big") / 2**32
    score = np.float32(value)
    if status != "OK":
        return {
            "probabilities": [-1.0] * 3,
            "score": -1.0,
            "decision": "REJECTED",
            "abstained": True,
            "predicted_class": "",
            "classes": CLASSES,
            "status": status,
            "reason": reason,
        }
    refer = BAND[0] < score < BAND[1]
    numbers = [np.float32(1 - score), np.float32(0.7) * score, np.float32(0.3) * score]
    return {
        "probabilities": [float(number) for number in numbers],
        "score": float(score),
        "decision": "REFER" if refer else "POSITIVE" if score >= THRESHOLD else "NEGATIVE",
        "abstained": bool(refer),
        "predicted_class": CLASSES[int(np.argmax(numbers))],
        "classes": CLASSES,
        "status": "OK",
        "reason": "",
    }


@dataclass
class StandInServer:
    """Behavior of the server, and statistics of its calls.

    Attributes:
      faults: outcome of the next predict calls: an HTTP status (its gRPC code over gRPC), or "cut"
        for a connection that ends without a response; later calls succeed.
      delay: seconds before each response.
      batch_limit: maximum bytes of images in one request.
      fails_on: image that fails the whole request, as in a model without `status`.
      calls: number of images in each successful predict call.
      attempts: number of predict calls.
      busiest: largest number of concurrent calls.
      extra: outputs added to each row.
      signatures: signature -> outputs in the metadata.
    """

    faults: deque[int | str] = field(default_factory=deque)
    delay: float = 0.0
    batch_limit: int = 1 << 30
    fails_on: bytes = b"\0never\0"
    calls: list[int] = field(default_factory=list)
    attempts: int = 0
    busiest: int = 0
    extra: dict[str, Any] = field(default_factory=dict)
    signatures: dict[str, list[str]] = field(
        default_factory=lambda: {"serving_default": ["probabilities", "score", "status"]}
    )
    about: dict[str, Any] = field(default_factory=dict)
    ui: Path | None = None
    retry_after: str = ""
    rest: str = ""
    grpc: str = ""
    _busy: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def predict(self, images: Sequence[bytes]) -> tuple[int | str, list[dict[str, Any]]]:
        """Returns HTTP status and rows."""
        with self._lock:
            self.attempts += 1
            self._busy += 1
            self.busiest = max(self.busiest, self._busy)
            fault = self.faults.popleft() if self.faults else 200
        time.sleep(self.delay)
        with self._lock:
            self._busy -= 1
            if fault != 200:
                return fault, []
            if sum(map(len, images)) > self.batch_limit:
                return 413, []
            if self.fails_on in images:
                return 400, []
            self.calls.append(len(images))
        return 200, [row_of(image) for image in images]


def start(standin: StandInServer) -> Any:
    """Starts both protocols on free local ports; returns a function that stops them."""
    http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(standin))
    http.daemon_threads = True
    threading.Thread(target=http.serve_forever, args=(0.05,), daemon=True).start()
    server, port = _grpc_server(standin)
    standin.rest = f"http://127.0.0.1:{http.server_port}"
    standin.grpc = f"grpc://127.0.0.1:{port}"

    def stop() -> None:
        http.shutdown()
        http.server_close()
        server.stop(0).wait()

    return stop


def _handler(standin: StandInServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            model = f"/v1/models/{NAME}"
            if self.path == model:
                self._json(200, {"model_version_status": [_STATE]})
            elif self.path == f"{model}/metadata":
                defined = {
                    name: {"outputs": {output: {} for output in outputs}}
                    for name, outputs in standin.signatures.items()
                }
                self._json(200, {"metadata": {"signature_def": {"signature_def": defined}}})
            elif self.path == "/ui/about.json" and standin.about:
                self._json(200, standin.about)
            elif self.path.startswith("/ui/") and standin.ui:
                self._file(
                    standin.ui, self.path.partition("?")[0].removeprefix("/ui/") or "index.html"
                )
            else:
                self._json(404, {"error": "Could not find any versions of model"})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.path == "/ui/dicom":
                self._dicom(body)
                return
            if self.path != f"/v1/models/{NAME}:predict":
                self._json(404, {"error": "Servable not found for request: Latest(nothing)"})
                return
            request = json.loads(body)
            images = [base64.b64decode(one["b64"], validate=True) for one in request["instances"]]
            status, rows = standin.predict(images)
            if status == "cut":
                self.close_connection = True
                return
            assert isinstance(status, int)
            if status == 200:
                self._json(200, {"predictions": [{**row, **standin.extra} for row in rows]})
            else:
                self._json(status, {"error": f"fault {status}"})

        def _dicom(self, body: bytes) -> None:
            try:
                self._send(200, render(body).png, "image/png")
            except PneumoError as error:
                self._json(422, {"error": str(error)})

        def _json(self, status: int, response: Any) -> None:
            self._send(status, json.dumps(response).encode(), "application/json")

        def _file(self, folder: Path, name: str) -> None:
            kinds = {"html": "text/html", "js": "text/javascript", "css": "text/css"}
            kinds["svg"] = "image/svg+xml"
            file = folder / name
            if "/" in name or not file.is_file():
                self._json(404, {"error": "no such file"})
            else:
                self._send(200, file.read_bytes(), kinds[name.rpartition(".")[2]])

        def _send(self, status: int, content: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(content)))
            if standin.retry_after and status in (429, 503):
                self.send_header("retry-after", standin.retry_after)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler


_STATE = {
    "version": "7",
    "state": "AVAILABLE",
    "status": {"error_code": "OK", "error_message": ""},
}
_CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    404: grpc.StatusCode.NOT_FOUND,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    500: grpc.StatusCode.INTERNAL,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
    "cut": grpc.StatusCode.UNAVAILABLE,
}


def _grpc_server(standin: StandInServer) -> tuple[grpc.Server, int]:
    import tensorflow as tf
    from tensorflow_serving.apis import (
        get_model_metadata_pb2,
        get_model_status_pb2,
        model_service_pb2_grpc,
        predict_pb2,
        prediction_service_pb2_grpc,
    )

    class Prediction(prediction_service_pb2_grpc.PredictionServiceServicer):
        def Predict(self, request: Any, context: grpc.ServicerContext) -> Any:
            if request.model_spec.name != NAME:
                context.abort(grpc.StatusCode.NOT_FOUND, "Servable not found")
            images = tf.make_ndarray(request.inputs["image_bytes"]).tolist()
            status, rows = standin.predict(images)
            if status != 200:
                message = "Received message larger than max" if status == 413 else f"fault {status}"
                context.abort(_CODES[status], message)
            response = predict_pb2.PredictResponse()
            rows = [{**row, **standin.extra} for row in rows]
            for name in rows[0]:
                column = np.array([row[name] for row in rows])
                if column.dtype == np.float64:
                    column = column.astype(np.float32)
                if column.dtype.kind == "U":
                    column = np.char.encode(column, "utf-8").astype(object)
                response.outputs[name].CopyFrom(tf.make_tensor_proto(column))
            return response

        def GetModelMetadata(self, *_: Any) -> Any:
            response = get_model_metadata_pb2.GetModelMetadataResponse()
            defined = get_model_metadata_pb2.SignatureDefMap()
            for name, outputs in standin.signatures.items():
                for output in outputs:
                    defined.signature_def[name].outputs[output].name = output
            response.metadata["signature_def"].Pack(defined)
            return response

    class Model(model_service_pb2_grpc.ModelServiceServicer):
        def GetModelStatus(self, request: Any, context: grpc.ServicerContext) -> Any:
            if request.model_spec.name != NAME:
                context.abort(grpc.StatusCode.NOT_FOUND, "Could not find any versions")
            response = get_model_status_pb2.GetModelStatusResponse()
            response.model_version_status.add(version=7, state="AVAILABLE")
            return response

    server = grpc.server(futures.ThreadPoolExecutor(16))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Prediction(), server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(Model(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, port
