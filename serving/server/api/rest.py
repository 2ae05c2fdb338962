"""TensorFlow Serving's REST API, health checks, metrics and the web page."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from google.protobuf import json_format
from grpc import StatusCode
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from serving.server.api import codec, content_encoding
from serving.server.api.dicom import DicomRenderer
from serving.server.endpoint import Endpoint
from serving.server.errors import ServeError, invalid

UI = Path(__file__).parents[2] / "ui"
HEADERS = {
    # The page is self-contained: forbid requests to other origins.
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def build_app(endpoint: Endpoint) -> Starlette:
    """Returns the web application: /v1/..., /healthz, /readyz, /metrics and optionally /ui/."""
    rest = _Rest(endpoint)
    routes: list[BaseRoute] = [
        Route("/healthz", PlainTextResponse("alive\n")),
        Route("/readyz", rest.ready),
        Route("/metrics", rest.metrics),
        Route("/monitoring/prometheus/metrics", rest.metrics),
    ]
    for suffix in ("", "/versions/{version}", "/labels/{label}"):
        path = "/v1/models/{name}" + suffix
        routes += [
            Route(f"{path}/metadata", rest.metadata),
            Route(f"{path}:{{verb}}", rest.predict, methods=["POST"]),
            Route(path, rest.status),
        ]
    if endpoint.options.ui:
        routes += [
            Route("/", RedirectResponse("/ui/")),
            Route("/ui/about.json", rest.about),
            Route("/ui/dicom", rest.dicom, methods=["POST"]),
            Mount("/ui", StaticFiles(directory=UI, html=True)),
        ]
    handlers = {ServeError: _on_error, HTTPException: _on_unknown_path}
    return Starlette(routes=routes, exception_handlers=handlers)


class _Rest:
    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint, self.models, self.options = endpoint, endpoint.models, endpoint.options
        self.body_bytes = 0  # of all request bodies in memory
        self._renderer = DicomRenderer(self.options.deadline)

    async def ready(self, _: Request) -> Response:
        if self.models.available:
            return PlainTextResponse("ready\n")
        return PlainTextResponse("no version is loaded\n", 503)

    async def metrics(self, _: Request) -> Response:
        text = generate_latest(self.endpoint.metrics.registry)
        return Response(text, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def about(self, _: Request) -> Response:
        async with self.models.use(self.models.name, None) as (number, model):
            served = {"version": str(number), "model": self.models.name}
            return _json(
                {**model.info, **served, "max_body_bytes": self.options.max_body_mib << 20}
            )

    async def dicom(self, request: Request) -> Response:
        """Returns the pixels of a DICOM file as PNG; nothing of its header is kept or logged."""
        with self.endpoint.observe("rest", "dicom"):
            async with (
                self.body(request) as body,
                self.endpoint.admit(self.models.name, None),
            ):
                png = await self._renderer.png(body)
        return Response(png, headers={"Cache-Control": "no-store"}, media_type="image/png")

    async def status(self, request: Request) -> Response:
        with self.endpoint.observe("rest", "status"):
            versions = self.models.status(request.path_params["name"], _number(request))
        states = []
        for number, version in versions.items():
            code = "UNKNOWN" if version.error else "OK"
            status = {"error_code": code, "error_message": version.error}
            states.append({"version": str(number), "state": version.state.name, "status": status})
        return _json({"model_version_status": states})

    async def metadata(self, request: Request) -> Response:
        name = request.path_params["name"]
        with self.endpoint.observe("rest", "metadata"):
            async with self.models.use(name, _number(request)) as (number, model):
                signatures = json_format.MessageToDict(
                    model.metadata,
                    preserving_proto_field_name=True,
                    always_print_fields_with_no_presence=True,
                )
        spec = {"name": name, "signature_name": "", "version": str(number)}
        return _json({"model_spec": spec, "metadata": {"signature_def": signatures}})

    async def predict(self, request: Request) -> Response:
        name, verb = request.path_params["name"], request.path_params["verb"]
        with self.endpoint.observe("rest", "predict"):
            if verb in ("classify", "regress"):
                raise ServeError(
                    StatusCode.UNIMPLEMENTED, f":{verb} is not supported; use :predict"
                )
            if verb != "predict":
                raise invalid(f"Malformed request: POST :{verb}")
            async with (
                self.body(request) as body,
                self.endpoint.admit(name, _number(request)) as used,
            ):
                parsing = asyncio.to_thread(codec.parse, body, used[1].signatures)
                signature, images, by_row = await parsing
                outputs = await self.endpoint.predict(used, signature, images)
        return Response(codec.format_response(outputs, by_row), media_type="application/json")

    @contextlib.asynccontextmanager
    async def body(self, request: Request) -> AsyncIterator[bytes]:
        """Yields the decoded body; limits its bytes and those of all bodies in memory.

        Raises:
          ServeError: unsupported encoding (415), too large (413), sent too slowly (408), or too
            many bytes in memory (503).
        """
        limit, seconds = self.options.max_body_mib << 20, self.options.slow_seconds
        declared = request.headers.get("content-length", "")
        size = int(declared) if declared.isdecimal() else 0
        decoder = content_encoding.decoder(request.headers.get("content-encoding", ""))
        parts: list[bytes] = []
        received = decoded = 0
        try:
            async with asyncio.timeout(seconds):
                async for part in request.stream():
                    received += len(part)
                    for piece in decoder.pieces(part):
                        decoded += len(piece)
                        self.body_bytes += len(piece)
                        if max(size, received, decoded) > limit:
                            message = f"the request is larger than {self.options.max_body_mib} MiB"
                            raise invalid(message, 413)
                        if self.body_bytes > self.options.max_bodies_mib << 20:
                            message = "too many large requests at once; retry later"
                            raise ServeError(StatusCode.UNAVAILABLE, message)
                        parts.append(piece)
                        await asyncio.sleep(0)  # other requests go on
                decoder.close()
            yield b"".join(parts)
        except TimeoutError:
            message = f"the request was not received within {seconds:.3g} seconds"
            raise ServeError(StatusCode.DEADLINE_EXCEEDED, message, 408) from None
        except ClientDisconnect:
            raise invalid("the request ended early") from None
        finally:
            self.body_bytes -= decoded


def _number(request: Request) -> int | None:
    """Returns the version in the path; None for the newest."""
    if label := request.path_params.get("label"):
        raise invalid(f"Unrecognized servable version label: {label}")
    text = request.path_params.get("version")
    if text is not None and not (text.isascii() and text.isdecimal() and len(text) < 20):
        raise invalid(f"Malformed request: {request.method} {request.url.path}")
    return None if text is None else int(text)


def _json(content: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(codec.to_json(content), status, headers, "application/json")


async def _on_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, ServeError)
    headers = {503: {"Retry-After": "1"}, 408: {"Connection": "close"}}.get(error.http)
    return _json({"error": error.message}, error.http, headers)


async def _on_unknown_path(request: Request, _: Exception) -> Response:
    path = request.url.path
    if path.startswith("/v1/"):
        return await _on_error(request, invalid(f"Malformed request: {request.method} {path}"))
    return await _on_error(request, ServeError(StatusCode.NOT_FOUND, f"{path} does not exist"))
