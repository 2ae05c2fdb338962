"""Client of a model server: batches of images, several under way, predictions in order."""

import base64
import itertools
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from schema.errors import PneumoError
from serving.client.errors import OF_CONTENT, ClientError
from serving.client.grpc_transport import GrpcTransport
from serving.client.images import Image
from serving.client.rest_transport import RestTransport
from serving.client.retry import Retry, call
from serving.predict.prediction import Prediction, rejected, to_prediction

_FIRST = Retry(patience=3.0)  # of the first calls, so that a wrong address is reported soon
_GRPC_PORT = 8500
_GRAY_PNG = base64.b64decode(  # 64 x 64 pixels
    "iVBORw0KGgoAAAANSUhEUgAAAEAAAABACAAAAACPAi4CAAAAKUlEQVR42u3MQREAAAwCIKMb3RD77SAA6VEEAoFAIBAI"
    "BAKBQCAQfA8G320AeXC6efoAAAAASUVORK5CYII="
)


class Client:
    """A client of one model on one server; safe in many threads.

    All calls may be repeated without harm, so connection errors, "unavailable" and "overloaded" are
    retried with back-off until patience ends.

    Args:
      endpoint: http://host:8501 or https://... for REST, grpc://host:8500 or grpcs://... for gRPC.
      name: of the model.
      timeout: seconds for one answer.
      batch_size: images in one request at most.
      batch_bytes: bytes of images in one request; a single larger image goes alone.
      concurrency: requests under way at once.
      retry: how patiently.
      headers: sent with each request (as metadata over gRPC), such as `authorization`.
      ca_file: certificates to trust, PEM, where the system's do not do.

    Raises:
      ClientError: the address cannot be understood.
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
        self._first = min(retry, _FIRST, key=lambda one: one.patience)
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
        """Ends what waits for another try, and the connections."""
        self._stop.set()
        self._transport.close()

    def status(self) -> dict[int, str]:
        """State of each version that the server knows, such as {3: "AVAILABLE"}.

        Raises:
          ClientError: no answer; NOT_FOUND where the server has no such model.
        """
        return call(self._transport.status, self._first, self._stop)

    def signatures(self) -> dict[str, list[str]]:
        """The model's signatures with the names of their outputs.

        Raises:
          ClientError: no answer.
        """
        return call(self._transport.signatures, self._first, self._stop)

    def classes(self) -> list[str]:
        """Names of the classes, in the order of the probabilities; asks about a gray square.

        Raises:
          ClientError: no answer, or not one of a model of this project.
        """
        ask = partial(self._transport.predict, "serving_default", [_GRAY_PNG])
        rows = call(ask, self._first, self._stop)
        if len(rows) != 1 or not isinstance(rows[0].get("classes"), list):
            raise ClientError(self.endpoint, "BAD_ANSWER", "not a model of this project")
        return [str(name) for name in rows[0]["classes"]]

    def call(self, signature: str, images: Sequence[bytes]) -> list[dict[str, Any]]:
        """One request: a row of outputs for each image, by name.

        Floats are float32 values, strings are str, tensors of higher rank are nested lists.

        Raises:
          ClientError: no answer, after retries.
        """
        rows = call(partial(self._transport.predict, signature, images), self._retry, self._stop)
        if len(rows) != len(images):
            reason = f"{len(rows)} answers about {len(images)} images"
            raise ClientError(self.endpoint, "BAD_ANSWER", reason)
        return rows

    def predict(
        self, images: Iterable[Image], signature: str = "serving_default"
    ) -> Iterator[Prediction]:
        """Answers in the order of the images, one for each.

        Images are taken from the iterable, read and sent as answers are consumed: at most twice
        `concurrency` batches are held. An image that cannot be read, or that the model rejects, has
        an answer with `error`; the others are answered all the same.

        Args:
          images: what is asked about.
          signature: serving_default, or explain.

        Raises:
          ClientError: the server gave no answer, after retries; all answers before were given.
        """
        waiting: deque[Future[list[Prediction]]] = deque()
        pool = ThreadPoolExecutor(self._concurrency, thread_name_prefix="pneumo-client")
        try:
            source = iter(images)
            while batch := list(itertools.islice(source, self._batch_size)):
                waiting.append(pool.submit(self._answer, batch, signature))
                if len(waiting) >= 2 * self._concurrency:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
            pool.shutdown(wait=False, cancel_futures=True)

    def explain(self, images: Iterable[Image]) -> Iterator[Prediction]:
        """As `predict`, with `heatmap`, `boxes` and the size of the displayed image.

        Raises:
          ClientError: the model has no signature explain, or as `predict`.
        """
        if "explain" not in self.signatures():
            reason = "this model has no signature explain; export it anew with `pneumo run`"
            raise ClientError(self.endpoint, "FAILED_PRECONDITION", reason)
        yield from self.predict(images, "explain")

    def _answer(self, batch: Sequence[Image], signature: str) -> list[Prediction]:
        """Reads and asks about a batch, in parts of at most `batch_bytes`."""
        answers: dict[int, Prediction] = {}
        part: list[tuple[int, str, bytes]] = []
        size = 0
        for i, image in enumerate(batch):
            try:
                content = image.read()
            except OSError as error:
                reason = f"cannot be read: {error.strerror or error}"
                answers[i] = rejected(image.name, reason)
                continue
            except PneumoError as error:
                answers[i] = rejected(image.name, str(error))
                continue
            if part and size + len(content) > self._batch_bytes:
                answers |= self._send(part, signature)
                part, size = [], 0
            part.append((i, image.name, content))
            size += len(content)
        answers |= self._send(part, signature)
        return [answers[i] for i in range(len(batch))]

    def _send(self, part: list[tuple[int, str, bytes]], signature: str) -> dict[int, Prediction]:
        if not part:
            return {}
        try:
            rows = self.call(signature, [content for _, _, content in part])
        except ClientError as error:
            if error.code not in OF_CONTENT:
                raise
            if len(part) == 1:
                i, name, _ = part[0]
                return {i: rejected(name, error.reason)}
            # One of them is at fault, or all together are too much: halves find out which.
            middle = len(part) // 2
            first, second = part[:middle], part[middle:]
            return self._send(first, signature) | self._send(second, signature)
        try:
            return {
                i: to_prediction(name, row) for (i, name, _), row in zip(part, rows, strict=True)
            }
        except ValueError as error:
            raise ClientError(self.endpoint, "BAD_ANSWER", str(error)) from error
