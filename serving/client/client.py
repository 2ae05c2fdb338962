"""Asks a model server about images: in batches, several at a time, answers in order."""

import itertools
import struct
import threading
import zlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, Protocol
from urllib.parse import urlsplit

from schema.errors import PneumoError
from serving.answer import Prediction, rejected, to_prediction
from serving.client.errors import OF_CONTENT, ClientError
from serving.client.grpc_ import Grpc
from serving.client.images import Image
from serving.client.rest import Rest
from serving.client.retry import Retry, call

_FIRST = Retry(patience=3.0)  # for questions at the start: a wrong address is told soon
_GRPC_PORT = 8500


class Transport(Protocol):
    """What REST and gRPC have in common."""

    def predict(self, signature: str, images: Sequence[bytes]) -> list[dict[str, Any]]:
        """One row of outputs for each image."""

    def status(self) -> dict[int, str]:
        """Version -> state."""

    def signatures(self) -> dict[str, list[str]]:
        """Signature -> names of its outputs."""

    def close(self) -> None:
        """Lets go of the connections."""


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
        self._stop = threading.Event()
        self._transport = _transport(endpoint, name, timeout, concurrency, headers or {}, ca_file)

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
        return call(self._transport.status, _FIRST, self._stop)

    def signatures(self) -> dict[str, list[str]]:
        """The model's signatures with the names of their outputs.

        Raises:
          ClientError: no answer.
        """
        return call(self._transport.signatures, _FIRST, self._stop)

    def classes(self) -> list[str]:
        """Names of the classes, in the order of the probabilities; asks about a gray square.

        Raises:
          ClientError: no answer, or not one of a model of this project.
        """
        ask = partial(self._transport.predict, "serving_default", [gray_png(64)])
        rows = call(ask, _FIRST, self._stop)
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
            told = f"{len(rows)} answers about {len(images)} images"
            raise ClientError(self.endpoint, "BAD_ANSWER", told)
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
            told = "this model has no signature explain; export it anew with `pneumo run`"
            raise ClientError(self.endpoint, "FAILED_PRECONDITION", told)
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
                told = f"cannot be read: {error.strerror or error}"
                answers[i] = rejected(image.name, told)
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


def _transport(
    endpoint: str,
    name: str,
    timeout: float,
    concurrency: int,
    headers: dict[str, str],
    ca_file: str | None,
) -> Transport:
    try:
        parts = urlsplit(endpoint)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ClientError(endpoint, "BAD_ADDRESS", str(error)) from error
    if parts.scheme not in ("http", "https", "grpc", "grpcs") or not host:
        told = "give http://host:8501 for REST or grpc://host:8500 for gRPC"
        raise ClientError(endpoint, "BAD_ADDRESS", told)
    if parts.scheme in ("http", "https"):
        return Rest(endpoint, name, timeout, concurrency, headers, ca_file)
    target = f"[{host}]:{port or _GRPC_PORT}" if ":" in host else f"{host}:{port or _GRPC_PORT}"
    secure = parts.scheme == "grpcs"
    return Grpc(endpoint, target, name, timeout, headers, secure, ca_file)


def gray_png(side: int) -> bytes:
    """A gray square as PNG, made without an imaging library."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checked = kind + data
        return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    rows = (b"\0" + b"\x80" * side) * side
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", header),
            chunk(b"IDAT", zlib.compress(rows)),
            chunk(b"IEND", b""),
        ]
    )
