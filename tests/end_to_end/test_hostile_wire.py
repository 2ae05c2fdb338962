"""Hostile input over the wire: the right status each time, the server alive, memory back."""

import base64
import json
import socket
import struct
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import httpx
import pytest

from serving.client import tf_serving_pb2 as pb
from tests.support.server import Server, ask, call, request, rows, running
from tests.support.small_model import phantoms

MIB = 1 << 20


@pytest.fixture(scope="module")
def server(small_model: Path) -> Iterator[Server]:
    limits = ("--slow-seconds", "2", "--max-images", "8", "--max-requests", "6", "--deadline", "30")
    with running(small_model, *limits) as started:
        yield started


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return phantoms(tmp_path_factory.mktemp("image"), 1)[0]


@pytest.fixture(scope="module")
def expected(server: Server, image: bytes) -> list[dict]:
    return ask(server, [image])


@pytest.fixture(autouse=True)
def still_well(server: Server, image: bytes, expected: list[dict]) -> Iterator[None]:
    yield
    assert ask(server, [image]) == expected


def png(width: int, height: int, pixels: bytes) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def bomb(side: int) -> bytes:
    """A few KiB that claim, and hold, side x side pixels."""
    packer = zlib.compressobj(9)
    row = bytes(side + 1)
    return png(side, side, b"".join([*(packer.compress(row) for _ in range(side)), packer.flush()]))


def test_bombs(server: Server, image: bytes, expected: list[dict]) -> None:
    """Beside a good image, whose answer stays the same; memory does not grow by their pixels."""
    large = bomb(12_000)  # 144 Mpixel, 144 MB unpacked
    assert len(large) < MIB
    before = server.rss()
    for _ in range(3):
        good, refused, lied = ask(server, [image, large, png(60_000, 60_000, b"")])
        assert good["score"] == pytest.approx(expected[0]["score"], abs=1e-6)
        assert refused["status"].startswith("TOO_MANY_PIXELS")
        assert lied["status"].startswith("TOO_MANY_PIXELS")
    assert server.rss() - before < 150 * MIB


@pytest.mark.parametrize("part", [0.1, 0.5, 0.99])
def test_truncated_images(server: Server, image: bytes, part: float) -> None:
    (row,) = ask(server, [image[: int(part * len(image))]])
    assert row["status"].split(":")[0] in ("TRUNCATED", "DAMAGED")


def test_bodies_of_100_mb(server: Server) -> None:
    """Told in the head, sent in pieces, over gRPC: refused; and the memory is given back."""
    before = server.rss()
    body = b"x" * (100 * 10**6)
    told = httpx.post(f"{server.model}:predict", content=body, timeout=60)
    assert told.status_code == 413, told.text
    assert "64 MiB" in told.json()["error"]

    def pieces() -> Iterator[bytes]:
        for i in range(0, len(body), MIB):
            yield body[i : i + MIB]

    assert httpx.post(f"{server.model}:predict", content=pieces()).status_code == 413
    options = [("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(server.rpc, options) as channel:
        with pytest.raises(grpc.RpcError) as caught:
            call(channel, request(server, [body]))
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    time.sleep(1.0)
    assert server.rss() - before < 150 * MIB


def test_many_large_bodies_at_once(server: Server) -> None:
    """Each within its limit, all together beyond memory's: some are told to come again."""
    body = json.dumps({"instances": [{"b64": "A" * (60 * MIB)}]}).encode()
    before = server.rss()

    def send(_: int) -> int:
        try:
            return httpx.post(f"{server.model}:predict", content=body, timeout=120).status_code
        except httpx.TransportError:
            return 0

    with ThreadPoolExecutor(4) as pool:
        codes = list(pool.map(send, range(8)))
    # 45 MiB in one image: refused in its row, or no room; slow senders may be cut off.
    assert set(codes) <= {200, 408, 503, 0}, codes
    time.sleep(1.0)
    assert server.rss() - before < 400 * MIB


BODIES: dict[str, tuple[bytes, int]] = {
    "nothing": (b"", 400),
    "half": (b'{"instances": [{"b64": "AAAA', 400),
    "not UTF-8": (b'{"instances": ["\xff\xfe"]}', 400),
    "deep": (b'{"instances":' + b"[" * 100_000, 400),
    "deep and whole": (b'{"instances":' + b"[" * 900 + b"]" * 900 + b"}", 400),
    "wrong dtype": (b'{"instances": [3.14, true]}', 400),
    "unknown signature": (b'{"signature_name": "nope", "instances": ["a"]}', 400),
    "signature not a string": (b'{"signature_name": {}, "instances": ["a"]}', 400),
    "too many images": (json.dumps({"instances": ["a"] * 9}).encode(), 400),
    "NaN": (b'{"instances": [NaN]}', 400),
    "a record that is none": (b'{"signature_name": "examples", "instances": ["a"]}', 400),
}


@pytest.mark.parametrize("case", BODIES)
def test_bodies(server: Server, case: str) -> None:
    body, code = BODIES[case]
    answer = httpx.post(f"{server.model}:predict", content=body, timeout=60)
    assert answer.status_code == code, answer.text
    assert len(answer.json()["error"]) < 600


@pytest.mark.parametrize(
    "path",
    [
        "/v1/models/../../etc/passwd",
        "/ui/../../etc/passwd",
        "/v1/models/pneumo/versions/-1",
        "/v1/models/pneumo/versions/1e9",
        "/v1/models/" + "x" * 5000,
        "/%00",
        "/v1/models/%2e",
    ],
)
def test_paths(server: Server, path: str) -> None:
    answer = httpx.get(server.rest + path)
    assert answer.status_code in (400, 404)
    assert "root:" not in answer.text


def address(server: Server) -> tuple[str, int]:
    host, port = server.rest.removeprefix("http://").rsplit(":", 1)
    return host, int(port)


def read_all(sock: socket.socket) -> bytes:
    sock.settimeout(20)
    parts = []
    try:
        while part := sock.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def test_a_client_that_sends_no_head(server: Server) -> None:
    with socket.create_connection(address(server)) as sock:
        sock.sendall(b"POST /v1/mod")
        at = time.monotonic()
        assert read_all(sock) == b""
        assert time.monotonic() - at < 15


def test_a_client_that_sends_its_body_slowly(server: Server) -> None:
    with socket.create_connection(address(server)) as sock:
        sock.sendall(b"POST /v1/models/pneumo:predict HTTP/1.1\r\nHost: x\r\n"
                     b"Content-Length: 100000\r\n\r\n" + b"x" * 10)  # fmt: skip
        answer = read_all(sock)
        assert b"408" in answer.split(b"\r\n")[0]
        assert b"was not sent within" in answer


def test_a_slow_body_that_was_told_too_large(server: Server) -> None:
    """No time would have been enough: it is not told to hurry."""
    with socket.create_connection(address(server)) as sock:
        sock.sendall(b"POST /v1/models/pneumo:predict HTTP/1.1\r\nHost: x\r\n"
                     b"Content-Length: 100000000\r\n\r\nx")  # fmt: skip
        assert b" 413 " in read_all(sock).split(b"\r\n")[0]


def test_a_client_that_leaves_in_the_middle(server: Server) -> None:
    for _ in range(20):
        with socket.create_connection(address(server)) as sock:
            sock.sendall(b"POST /v1/models/pneumo:predict HTTP/1.1\r\nHost: x\r\n"
                         b"Content-Length: 100000\r\n\r\n" + b"x" * 50_000)  # fmt: skip


@pytest.mark.parametrize(
    "sent", [b"\x16\x03\x01\x02\x00\x01\x00", b"\0" * 100, b"GET\r\n\r\n", b"x" * 200_000]
)
def test_what_is_not_http(server: Server, sent: bytes) -> None:
    with socket.create_connection(address(server)) as sock:
        try:
            sock.sendall(sent)
        except (ConnectionResetError, BrokenPipeError):
            return
        answer = read_all(sock)
        assert not answer or b" 400 " in answer.split(b"\r\n")[0]


def test_a_head_without_end(server: Server) -> None:
    with socket.create_connection(address(server)) as sock:
        try:
            sock.sendall(b"GET / HTTP/1.1\r\n")
            for i in range(5000):
                sock.sendall(f"X-{i}: {'y' * 100}\r\n".encode())
        except (ConnectionResetError, BrokenPipeError):
            return
        answer = read_all(sock)
        assert not answer or b" 400 " in answer.split(b"\r\n")[0]


def test_too_many_at_once(server: Server, image: bytes) -> None:
    """More than --max-requests: answered, or told to come again, never dropped."""

    def send(_: int) -> tuple[int, str]:
        answer = httpx.post(f"{server.model}:predict", json=rows([image] * 8), timeout=60)
        return answer.status_code, answer.headers.get("retry-after", "")

    with ThreadPoolExecutor(24) as pool:
        codes = list(pool.map(send, range(48)))
    assert {code for code, _ in codes} <= {200, 503}
    assert any(code == 200 for code, _ in codes)
    assert all(retry for code, retry in codes if code == 503)


def test_grpc_rubbish(server: Server, image: bytes) -> None:
    with grpc.insecure_channel(server.rpc) as channel:
        raw = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
        with pytest.raises(grpc.RpcError) as caught:
            raw(b"\xff\xff\xff\xff rubbish", timeout=30)
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        with pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary("/tensorflow.serving.PredictionService/Nope")(b"", timeout=30)
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
        liar = request(server, [image])
        liar.inputs["image_bytes"].tensor_shape.dim[0].size = 2**40
        with pytest.raises(grpc.RpcError) as caught:
            call(channel, liar)
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        with pytest.raises(grpc.RpcError) as caught:
            call(channel, pb.PredictRequest())
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_base64_of_a_large_image(server: Server) -> None:
    """Above the limit for one image, below that for a request: refused in its row."""
    body = {"instances": [{"b64": base64.b64encode(b"\xff\xd8\xff" + bytes(33 * MIB)).decode()}]}
    answer = httpx.post(f"{server.model}:predict", json=body, timeout=60)
    assert answer.status_code == 200
    assert answer.json()["predictions"][0]["status"].startswith("TOO_MANY_BYTES")
