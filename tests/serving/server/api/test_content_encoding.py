"""Encodings of one request: gzip, forms of base64, rows and columns."""

import asyncio
import base64
import gzip
import json
import textwrap
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import Request

from serving.server.api import codec
from serving.server.api.content_encoding import PIECE, decoder
from serving.server.api.rest import _Rest
from serving.server.errors import ServeError
from serving.server.options import ServerOptions

SIGNATURES = {"serving_default": "image_bytes"}
BASE64 = {
    "plain": lambda text: text,
    "no padding": lambda text: text.rstrip("="),
    "dots as padding": lambda text: text.replace("=", "."),
    "lines": lambda text: "\n".join(textwrap.wrap(text, 76)),
    "Windows lines": lambda text: "\r\n".join(textwrap.wrap(text, 64)) + "\r\n",
    "spaces, no padding": lambda text: " ".join(text.rstrip("=")),
}
FORMS = {
    "rows": lambda value: {"instances": [value]},
    "named rows": lambda value: {"instances": [{"image_bytes": value}]},
    "columns": lambda value: {"inputs": [value]},
    "named columns": lambda value: {"inputs": {"image_bytes": [value]}},
}
ENCODINGS: dict[str, Any] = {
    "": lambda body: body,
    "identity": lambda body: body,
    "gzip": gzip.compress,
    "X-GZIP": lambda body: gzip.compress(body[:7]) + gzip.compress(body[7:]),
}


def decode(header: str, content: bytes, step: int = 1 << 16) -> bytes:
    used = decoder(header)
    parts = [content[i : i + step] for i in range(0, len(content), step)]
    decoded = b"".join(piece for part in parts for piece in used.pieces(part))
    used.close()
    return decoded


@settings(max_examples=100)
@given(
    image=st.binary(min_size=1, max_size=300),
    base64_form=st.sampled_from(sorted(BASE64)),
    form=st.sampled_from(sorted(FORMS)),
    encoding=st.sampled_from(sorted(ENCODINGS)),
    step=st.integers(1, 400),
    mark=st.sampled_from([b"", b"\xef\xbb\xbf"]),
)
def test_every_encoding_of_an_image_is_the_same_image(
    image: bytes, base64_form: str, form: str, encoding: str, step: int, mark: bytes
) -> None:
    text = BASE64[base64_form](base64.b64encode(image).decode())
    body = mark + json.dumps(FORMS[form]({"b64": text})).encode()
    decoded = decode(encoding, ENCODINGS[encoding](body), step)
    signature, images, by_row = codec.parse(decoded, SIGNATURES)
    assert (signature, images, by_row) == ("serving_default", [image], "rows" in form)


@pytest.mark.parametrize("size", [0, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE])
def test_gzip_is_inflated_in_small_pieces(size: int) -> None:
    content = gzip.compress(bytes(size))
    assert decode("gzip", content) == bytes(size)
    assert max(map(len, decoder("gzip").pieces(content)), default=0) <= PIECE


@pytest.mark.parametrize(
    "content", [b"{}", gzip.compress(b"x" * 99)[:-3], b"", zlib.compress(b"{}")]
)
def test_damaged_gzip_is_an_error(content: bytes) -> None:
    with pytest.raises(ServeError, match="gzip") as caught:
        decode("gzip", content)
    assert caught.value.http == 400


@pytest.mark.parametrize("header", ["br", "deflate", "zstd", "gzip, gzip", "gzip, br"])
def test_other_encodings_are_415(header: str) -> None:
    with pytest.raises(ServeError, match="use gzip or none") as caught:
        decoder(header)
    assert caught.value.http == 415


@pytest.mark.parametrize("encoding", ["", "gzip"])
@pytest.mark.parametrize("extra, status", [(0, 200), (1, 413)])
def test_limit_of_the_body_is_that_of_the_decoded_content(
    encoding: str, extra: int, status: int, tmp_path: Path
) -> None:
    body = bytes((1 << 20) + extra)
    options = ServerOptions(tmp_path, max_body_mib=1)
    rest = _Rest(SimpleNamespace(options=options, models=None))  # type: ignore[arg-type]
    content = ENCODINGS[encoding](body)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": content, "more_body": False}

    async def read() -> int:
        headers = [(b"content-encoding", encoding.encode())]
        try:
            async with rest.body(Request({"type": "http", "headers": headers}, receive)) as got:
                assert got == body
                return 200
        except ServeError as error:
            return error.http

    assert asyncio.run(read()) == status
    assert rest.body_bytes == 0
