"""Client of a model server: sends batches concurrently and returns predictions in order."""

import base64
import itertools
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from serving.client.errors import CONTENT_ERRORS, ClientError
from serving.client.grpc_transport import GrpcTransport
from serving.client.images import Image
from serving.client.rest_transport import RestTransport
from serving.client.retry import Retry, call
from serving.predict.input_files import read_or_reason
from serving.predict.prediction import Prediction, rejected, to_prediction

_METADATA_RETRY = Retry(patience=3.0)  # short, so that a wrong address is reported soon
_GRPC_PORT = 8500
# Predicted to read the class names; 64 x 64 pixels. The input log of the server leaves it out.
PROBE_IMAGE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAEAAAABACAAAAACPAi4CAAAAKUlEQVR42u3MQREAAAwCIKMb3RD77SAA6VEEAoFAIBAI"
    "BAKBQCAQfA8G320AeXC6efoAAAAASUVORK5CYII="
)


class Client:
    """Client of one model on one server; thread-safe.

    All calls are idempotent: connection errors, UNAVAILABLE and RESOURCE_EXHAUSTED are retried with
    exponential back-off.

    Args:
      endpoint: http://host:8501 or https://... for REST, grpc://host:8500 or grpcs://... for gRPC.
      name: model name.
      timeout: seconds per request.
      batch_size: maximum number of images per request.
      batch_bytes: maximum bytes of images per request; a single larger image is sent alone.
      concurrency: maximum number of concurrent requests.
      retry: back-off and total time of retries.
      headers: sent with each request (as metadata over gRPC), such as `authorization`.
      ca_file: PEM file of trusted certificates; None for those of the system.

    Raises:
      ClientError: invalid address.
    """

    def __init__(
        self,
        endpoint: str,
        name: str = "pneumo",
        *,
        timeout: float = 60.0,
        batch_size: int = 16,
        batch_bytes: int = 16 << 20,
        concurrency: int = 2,
        retry: Retry = Retry(),  # noqa: B008  frozen
        headers: dict[str, str] | None = None,
        ca_file: str | None = None,
    ) -> None:
        self.endpoint = endpoint
        self._batch_size, self._batch_bytes = batch_size, batch_bytes
        self._concurrency, self._retry = concurrency, retry
        self._metadata_retry = min(retry, _METADATA_RETRY, key=lambda r: r.patience)
        self._stop = threading.Event()
        self._transport: RestTransport | GrpcTransport
        try:
            parts = urlsplit(endpoint)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise ClientError(endpoint, "BAD_ADDRESS", str(error)) from error
        if parts.scheme in ("http", "https") and host:
            self._transport = RestTransport(
                endpoint, name, timeout, concurrency, headers or {}, ca_file
            )
        elif parts.scheme in ("grpc", "grpcs") and host:
            target = f"[{host}]" if ":" in host else host
            target = f"{target}:{port or _GRPC_PORT}"
            secure = parts.scheme == "grpcs"
            self._transport = GrpcTransport(
                endpoint, target, name, timeout, headers or {}, secure, ca_file
            )
        else:
            advice = "give http://host:8501 for REST or grpc://host:8500 for gRPC"
            raise ClientError(endpoint, "BAD_ADDRESS", advice)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Cancels pending retries and closes the connections."""
        self._stop.set()
        self._transport.close()

    def status(self) -> dict[int, str]:
        """Returns the state of each version, such as {3: "AVAILABLE"}.

        Raises:
          ClientError: no response, or NOT_FOUND for an unknown model.
        """
        return call(self._transport.status, self._metadata_retry, self._stop)

    def signatures(self) -> dict[str, list[str]]:
        """Returns signature -> names of its outputs.

        Raises:
          ClientError: no response.
        """
        return call(self._transport.signatures, self._metadata_retry, self._stop)

    def classes(self) -> list[str]:
        """Returns the class names in the order of the probabilities; predicts a gray image.

        Raises:
          ClientError: no response, or not a model of this project.
        """
        predict = partial(self._transport.predict, "serving_default", [PROBE_IMAGE])
        rows = call(predict, self._metadata_retry, self._stop)
        if len(rows) != 1 or not isinstance(rows[0].get("classes"), list):
            raise ClientError(self.endpoint, "BAD_ANSWER", "not a model of this project")
        return [str(name) for name in rows[0]["classes"]]

    def call(self, signature: str, images: Sequence[bytes]) -> list[dict[str, Any]]:
        """Sends one request.

        Returns:
          Output name -> value, for each image. Floats are rounded to float32, strings are str,
          tensors of higher rank are nested lists.

        Raises:
          ClientError: no response after all retries.
        """
        rows = call(partial(self._transport.predict, signature, images), self._retry, self._stop)
        if len(rows) != len(images):
            reason = f"{len(rows)} rows for {len(images)} images"
            raise ClientError(self.endpoint, "BAD_ANSWER", reason)
        return rows

    def predict(
        self, images: Iterable[Image], signature: str = "serving_default"
    ) -> Iterator[Prediction]:
        """Yields one prediction per image, in the order of the images.

        Images are read and sent as predictions are consumed; at most twice `concurrency` batches
        are in memory. An unreadable or rejected image gets a prediction with `error` and does not
        affect the others.

        Args:
          images: may be endless.
          signature: "serving_default" or "explain".

        Raises:
          ClientError: no response after all retries; earlier predictions have been yielded.
        """
        waiting: deque[Future[list[Prediction]]] = deque()
        pool = ThreadPoolExecutor(self._concurrency, thread_name_prefix="pneumo-client")
        try:
            source = iter(images)
            while batch := list(itertools.islice(source, self._batch_size)):
                waiting.append(pool.submit(self._predict_batch, batch, signature))
                if len(waiting) >= 2 * self._concurrency:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
            pool.shutdown(wait=False, cancel_futures=True)

    def explain(self, images: Iterable[Image]) -> Iterator[Prediction]:
        """Like `predict`, with `heatmap`, `boxes` and the size of the displayed image.

        Raises:
          ClientError: the model has no signature `explain`; see also `predict`.
        """
        if "explain" not in self.signatures():
            reason = "the model has no signature `explain`; export it again with `pneumo run`"
            raise ClientError(self.endpoint, "FAILED_PRECONDITION", reason)
        yield from self.predict(images, "explain")

    def _predict_batch(self, batch: Sequence[Image], signature: str) -> list[Prediction]:
        """Reads a batch and sends it in requests of at most `batch_bytes`."""
        predictions: dict[int, Prediction] = {}
        part: list[tuple[int, str, bytes]] = []
        size = 0
        for i, image in enumerate(batch):
            content, reason = read_or_reason(image.read)
            if reason:
                predictions[i] = rejected(image.name, reason)
                continue
            if part and size + len(content) > self._batch_bytes:
                predictions |= self._send(part, signature)
                part, size = [], 0
            part.append((i, image.name, content))
            size += len(content)
        predictions |= self._send(part, signature)
        return [predictions[i] for i in range(len(batch))]

    def _send(self, part: list[tuple[int, str, bytes]], signature: str) -> dict[int, Prediction]:
        if not part:
            return {}
        try:
            rows = self.call(signature, [content for _, _, content in part])
        except ClientError as error:
            if error.code not in CONTENT_ERRORS:
                raise
            if len(part) == 1:
                i, name, _ = part[0]
                return {i: rejected(name, error.reason)}
            # Either one image is invalid or the request is too large: send each half separately.
            middle = len(part) // 2
            first, second = part[:middle], part[middle:]
            return self._send(first, signature) | self._send(second, signature)
        try:
            return {
                i: to_prediction(name, row) for (i, name, _), row in zip(part, rows, strict=True)
            }
        except ValueError as error:
            raise ClientError(self.endpoint, "BAD_ANSWER", str(error)) from error
