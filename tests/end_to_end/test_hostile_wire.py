"""Hostile input over the wire: the right status each time, the server alive, memory back."""

import base64
import gzip
import json
import socket
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import httpx
import pytest
from tensorflow_serving.apis import predict_pb2

from tests.support.images.synthetic import png_file
from tests.support.models.small_model import phantoms
from tests.support.serving.server import (
    Server,
    grpc_error_code,
    predict_over_grpc,
    predict_over_rest,
    request,
    rows,
)

MIB = 1 << 20
HEAD = b"POST /v1/models/pneumo:predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"


@pytest.fixture(scope="module")
def server(small_server: Server) -> Server:
    return small_server


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return phantoms(tmp_path_factory.mktemp("image"), 1)[0]


@pytest.fixture(scope="module")
def expected(server: Server, image: bytes) -> list[dict]:
    return predict_over_rest(server, [image])


@pytest.fixture(autouse=True)
def still_well(server: Server, image: bytes, expected: list[dict]) -> Iterator[None]:
    yield
    assert predict_over_rest(server, [image]) == expected


def post(server: Server, body: Any) -> httpx.Response:
    return httpx.post(f"{server.model}:predict", content=body, timeout=120)


def exchange(server: Server, *parts: bytes) -> bytes:
    """Sends bytes over a connection of its own; what the server sends until it closes."""
    host, port = server.rest.removeprefix("http://").rsplit(":", 1)
    answer = b""
    with socket.create_connection((host, int(port)), timeout=20) as sock:
        try:
            for part in parts:
                sock.sendall(part)
            while part := sock.recv(65536):
                answer += part
        except (ConnectionResetError, BrokenPipeError):
            pass
    return answer


def bomb(side: int) -> bytes:
    """A few KiB that claim, and hold, side x side pixels."""
    packer = zlib.compressobj(9)
    row = bytes(side + 1)
    return png_file(
        side, side, b"".join([*(packer.compress(row) for _ in range(side)), packer.flush()])
    )


def test_bombs(server: Server, image: bytes, expected: list[dict]) -> None:
    """Beside a good image, whose answer stays the same; memory does not grow by their pixels."""
    large = bomb(12_000)  # 144 Mpixel, 144 MB unpacked
    assert len(large) < MIB
    before = server.rss()
    for _ in range(3):
        good, refused, lied = predict_over_rest(
            server, [image, large, png_file(60_000, 60_000, b"")]
        )
        assert good["score"] == pytest.approx(expected[0]["score"], abs=1e-6)
        assert refused["status"] == "TOO_MANY_PIXELS"
        assert lied["status"] == "TOO_MANY_PIXELS"
    assert server.rss() - before < 150 * MIB


def test_bodies_of_100_mb(server: Server, image: bytes) -> None:
    """Declared in the head, in pieces, over gRPC, compressed: 413; memory is given back."""
    before = server.rss()
    body = b"x" * (100 * 10**6)
    declared = post(server, body)
    assert declared.status_code == 413
    assert "64 MiB" in declared.json()["error"]
    assert post(server, (body[i : i + MIB] for i in range(0, len(body), MIB))).status_code == 413
    exhausted = grpc.StatusCode.RESOURCE_EXHAUSTED
    for compression in (grpc.Compression.NoCompression, grpc.Compression.Gzip):
        options = [("grpc.max_send_message_length", -1)]
        with grpc.insecure_channel(server.rpc, options, compression) as channel:
            assert grpc_error_code(channel, request(server.name, [body])) is exhausted
    headers = {"Content-Encoding": "gzip"}
    for content, code in ((json.dumps(rows([image])).encode(), 200), (body, 413)):
        packed = gzip.compress(content, 1)
        answer = httpx.post(f"{server.model}:predict", content=packed, headers=headers, timeout=120)
        assert answer.status_code == code
    time.sleep(1.0)
    assert server.rss() - before < 150 * MIB


def test_many_large_bodies_at_once(server: Server, image: bytes) -> None:
    """Each within its limit, with good requests between: those are all answered."""
    body = json.dumps({"instances": [{"b64": "A" * (60 * MIB)}]}).encode()
    before = server.rss()

    def send(i: int) -> int:
        if i % 2:
            return post(server, json.dumps(rows([image]))).status_code
        try:
            return post(server, body).status_code
        except httpx.TransportError:
            return 0

    with ThreadPoolExecutor(4) as pool:
        codes = list(pool.map(send, range(16)))
    assert codes[1::2] == [200] * 8
    # 45 MiB in one image: refused in its row, or no room; slow senders may be cut off.
    large = Counter(codes[::2])
    assert set(large) <= {200, 408, 503, 0}
    assert large[200] > 0
    time.sleep(1.0)
    assert server.rss() - before < 400 * MIB


BODIES: dict[str, bytes] = {
    "nothing": b"",
    "half": b'{"instances": [{"b64": "AAAA',
    "not UTF-8": b'{"instances": ["\xff\xfe"]}',
    "deep": b'{"instances":' + b"[" * 100_000,
    "deep and whole": b'{"instances":' + b"[" * 900 + b"]" * 900 + b"}",
    "too many images": json.dumps({"instances": ["a"] * 9}).encode(),
    "NaN": b'{"instances": [NaN]}',
    "a record that is none": b'{"signature_name": "examples", "instances": ["a"]}',
}


@pytest.mark.parametrize("case", BODIES)
def test_bodies(server: Server, case: str) -> None:
    answer = post(server, BODIES[case])
    assert answer.status_code == 400, answer.text
    assert len(answer.json()["error"]) < 600


UP = "%2e%2e%2f"
PATHS = (
    *("/ui/../server/run.py", "/ui/..%2fserver/run.py", "/ui/%2e%2e/server/run.py"),
    *(f"/ui/{UP}server%2frun.py", f"/ui/{UP * 7}etc%2fpasswd", "/ui//etc/passwd", "/ui/%00"),
    *(f"/v1/models/{UP * 2}etc%2fpasswd", "/v1/models/" + "x" * 5000),
    *("/v1/models/pneumo/versions/-1", "/v1/models/pneumo/versions/1e9"),
)


@pytest.mark.parametrize("path", PATHS)
def test_paths(server: Server, path: str) -> None:
    """Sent as written: a client library would resolve the dots."""
    head = f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answer = exchange(server, head.encode())
    assert answer.split()[1] in (b"400", b"404"), answer[:300]
    assert b"root:" not in answer
    assert b"import" not in answer
    page = exchange(server, head.replace(path, "/ui/app.js").encode())
    assert b" 200 " in page.split(b"\r\n")[0]
    assert b"import" in page  # else this proves nothing


def test_slow_clients(server: Server) -> None:
    started = time.monotonic()
    assert exchange(server, b"POST /v1/mod") == b""
    assert time.monotonic() - started < 15
    answer = exchange(server, HEAD % 100_000 + b"x" * 10)
    assert b" 408 " in answer.split(b"\r\n")[0]
    assert b"was not received within" in answer
    # Declared too large: refused at once.
    assert b" 413 " in exchange(server, HEAD % 100_000_000 + b"x").split(b"\r\n")[0]


def test_a_client_that_leaves_in_the_middle(server: Server) -> None:
    host, port = server.rest.removeprefix("http://").rsplit(":", 1)
    for _ in range(20):
        with socket.create_connection((host, int(port))) as sock:
            sock.sendall(HEAD % 100_000 + b"x" * 50_000)


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
        b"\0" * 100 + b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"x" * 200_000,
        b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: %s\r\n" % (i, b"y" * 100) for i in range(5000)),
    ],
    ids=["TLS", "zeros", "no path", "no lines", "head without end"],
)
def test_what_is_not_http(server: Server, sent: bytes) -> None:
    answer = exchange(server, sent)
    assert not answer or b" 400 " in answer.split(b"\r\n")[0]


def test_too_many_at_once(server: Server, image: bytes) -> None:
    """More than --max-requests: answered, or asked to retry, never dropped."""

    def send(_: int) -> tuple[int, str]:
        answer = post(server, json.dumps(rows([image] * 8)))
        return answer.status_code, answer.headers.get("retry-after", "")

    with ThreadPoolExecutor(24) as pool:
        found = Counter(pool.map(send, range(48)))
    assert set(found) <= {(200, ""), (503, "1")}
    assert found[200, ""] > 0
    assert found[503, "1"] > 0


def test_grpc_rubbish(server: Server, image: bytes) -> None:
    codes = grpc.StatusCode
    with grpc.insecure_channel(server.rpc) as channel:
        for method, code in (("Predict", codes.UNKNOWN), ("Nope", codes.UNIMPLEMENTED)):
            raw = channel.unary_unary(f"/tensorflow.serving.PredictionService/{method}")
            with pytest.raises(grpc.RpcError) as caught:
                raw(b"\xff\xff\xff\xff rubbish", timeout=30)
            assert caught.value.code() is code
        liar = request(server.name, [image])
        liar.inputs["image_bytes"].tensor_shape.dim[0].size = 2**40
        assert grpc_error_code(channel, liar) is codes.INVALID_ARGUMENT
        assert grpc_error_code(channel, predict_pb2.PredictRequest()) is codes.NOT_FOUND
        assert predict_over_grpc(channel, request(server.name, [image]))


def test_base64_of_a_large_image(server: Server) -> None:
    """Above the limit for one image, below that for a request: refused in its row."""
    body = {"instances": [{"b64": base64.b64encode(b"\xff\xd8\xff" + bytes(33 * MIB)).decode()}]}
    answer = post(server, json.dumps(body))
    assert answer.status_code == 200
    assert answer.json()["predictions"][0]["status"] == "TOO_MANY_BYTES"
