"""The REST half of TF Serving's contract, health, metrics and the page."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from serving.server import codec
from serving.server.endpoint import Endpoint
from serving.server.errors import Code, ServeError
from serving.server.metrics import CONTENT_TYPE

UI = Path(__file__).parents[1] / "ui"
_JSON = "application/json"
_READ_AWAY = 4  # times the limit
_LARGE = 1 << 20  # bytes of JSON that take more than a few ms to read
_SAFE = {
    # The page brings everything along, so nothing may be fetched from elsewhere.
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


class Bodies:
    """Bytes of requests in memory, of all clients together.

    Args:
      one: bytes of one request at most.
      together: bytes of all at most.
      seconds: that a client may take to send one.
    """

    def __init__(self, one: int, together: int, seconds: float) -> None:
        self.one = one
        self.together = together
        self.seconds = seconds
        self.held = 0

    @contextlib.contextmanager
    def hold(self) -> Iterator["_Held"]:
        """Counts what is read within, until its end."""
        held = _Held(self)
        try:
            yield held
        finally:
            self.held -= held.size


class _Held:
    def __init__(self, of: Bodies) -> None:
        self.of = of
        self.size = 0

    async def read(self, request: Request) -> bytes:
        """The body.

        Raises:
          ServeError: it is too large (413), too slow (408), or memory is full (503).
        """
        parts: list[bytes] = []
        received, fits = 0, _told(request) <= self.of.one
        try:
            async with asyncio.timeout(self.of.seconds):
                async for part in request.stream():
                    received += len(part)
                    fits = fits and received <= self.of.one
                    if fits:
                        self._add(len(part))
                        parts.append(part)
                    elif received > _READ_AWAY * self.of.one:
                        break
                    else:  # thrown away: many clients read no answer before they have sent all
                        parts.clear()
        except TimeoutError:
            if not fits:  # no time would have been enough
                raise self._too_large() from None
            raise ServeError(
                Code.DEADLINE_EXCEEDED,
                f"the request was not sent within {self.of.seconds:.3g} seconds",
                408,
            ) from None
        except ClientDisconnect:
            raise ServeError(Code.INVALID_ARGUMENT, "the request ended early") from None
        if not fits:
            raise self._too_large()
        return b"".join(parts)

    def _add(self, size: int) -> None:
        self.size += size
        self.of.held += size
        if self.of.held > self.of.together:
            raise ServeError(Code.UNAVAILABLE, "too many large requests at once; ask again later")

    def _too_large(self) -> ServeError:
        return ServeError(
            Code.INVALID_ARGUMENT, f"the request is larger than {self.of.one >> 20} MiB", 413
        )


def _told(request: Request) -> int:
    """Bytes of the body as the head of the request tells them; 0 where it does not."""
    value = request.headers.get("content-length", "")
    return int(value) if value.isdecimal() else 0


def build_app(endpoint: Endpoint, with_ui: bool) -> Starlette:
    """The web application: /v1/..., /healthz, /readyz, /metrics, and /ui/ if asked for."""
    rest = _Rest(endpoint)
    prefix = "/v1/models/{name:str}"
    predict, classify = ["POST"], ":{verb:str}"
    routes: list[BaseRoute] = [
        Route("/healthz", rest.health),
        Route("/readyz", rest.ready),
        Route("/metrics", rest.metrics),
        Route("/monitoring/prometheus/metrics", rest.metrics),
        Route(f"{prefix}/versions/{{version}}/metadata", rest.metadata),
        Route(f"{prefix}/metadata", rest.metadata),
        Route(f"{prefix}/versions/{{version}}{classify}", rest.predict, methods=predict),
        Route(f"{prefix}/versions/{{version}}", rest.status),
        Route(f"{prefix}{classify}", rest.predict, methods=predict),
        Route(prefix, rest.status),
    ]
    if with_ui:
        routes += [
            Route("/", rest.home),
            Route("/ui/about.json", rest.about),
        ]
        if UI.is_dir():
            routes.append(Mount("/ui", StaticFiles(directory=UI, html=True)))
    app = Starlette(routes=routes, exception_handlers={404: _malformed, 405: _malformed})
    app.add_middleware(Headers)
    return app


class Headers:
    """Adds headers to every answer; plain ASGI, so that nothing is buffered."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.headers = [(k.lower().encode(), v.encode()) for k, v in _SAFE.items()]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """ASGI."""

        async def with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *self.headers]
            await send(message)

        await self.app(scope, receive, with_headers if scope["type"] == "http" else send)


async def _malformed(request: Request, _: Exception) -> Response:
    path = request.url.path
    if path.startswith("/v1/"):
        return _error(ServeError(Code.INVALID_ARGUMENT,
                                 f"Malformed request: {request.method} {path}"[:300]))  # fmt: skip
    return _error(ServeError(Code.NOT_FOUND, "there is nothing at this address"))


def _error(error: ServeError) -> Response:
    headers = {"Retry-After": "1"} if error.http == 503 else {}
    if error.http in (408, 413):
        headers["Connection"] = "close"  # what else the client sends is of no use
    return Response(codec.error_body(error.message), error.http, headers, _JSON)


class _Rest:
    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        limits = endpoint.limits
        self.bodies = Bodies(limits.body, limits.bodies, limits.slow)

    async def home(self, _: Request) -> Response:
        return RedirectResponse("/ui/")

    async def health(self, _: Request) -> Response:
        return Response("alive\n", media_type="text/plain")

    async def ready(self, _: Request) -> Response:
        if self.endpoint.stopping:
            return Response("stopping\n", 503, media_type="text/plain")
        ready = bool(self.endpoint.models.available)
        return Response("ready\n" if ready else "no version is loaded\n", 200 if ready else 503,
                        media_type="text/plain")  # fmt: skip

    async def metrics(self, _: Request) -> Response:
        return Response(self.endpoint.metrics.text(), headers={"Content-Type": CONTENT_TYPE})

    async def about(self, request: Request) -> Response:
        return await self._answer(request, "about", self._about)

    async def status(self, request: Request) -> Response:
        return await self._answer(request, "status", self._status)

    async def metadata(self, request: Request) -> Response:
        return await self._answer(request, "metadata", self._metadata)

    async def predict(self, request: Request) -> Response:
        return await self._answer(request, "predict", self._predict)

    async def _answer(
        self, request: Request, method: str, body: Callable[[Request], Awaitable[bytes]]
    ) -> Response:
        try:
            with self.endpoint.counted("rest", method):
                return Response(await body(request), media_type=_JSON)
        except ServeError as error:
            return _error(error)

    async def _about(self, _: Request) -> bytes:
        async with self.endpoint.models.use(None) as (number, version):
            return codec.to_json({**version.facts["facts"], "version": str(number),
                                  "model": self.endpoint.models.name})  # fmt: skip

    async def _status(self, request: Request) -> bytes:
        models = self.endpoint.models
        name, version = request.path_params["name"], _version(request)
        if name != models.name:
            raise ServeError(Code.NOT_FOUND, f"Could not find any versions of model {name[:100]}")
        return codec.to_json({
            "model_version_status": [
                {
                    "version": str(number),
                    "state": entry.state.name,
                    "status": {
                        "error_code": "UNKNOWN" if entry.error else "OK",
                        "error_message": entry.error,
                    },
                }
                for number, entry in models.status(version).items()
            ]
        })  # fmt: skip

    async def _metadata(self, request: Request) -> bytes:
        models = self.endpoint.models
        models.check_name(request.path_params["name"])
        async with models.use(_version(request)) as (number, version):
            spec = {"name": models.name, "signature_name": "", "version": str(number)}
            return codec.to_json({
                "model_spec": spec,
                "metadata": {"signature_def": version.facts["metadata"]},
            })  # fmt: skip

    async def _predict(self, request: Request) -> bytes:
        endpoint = self.endpoint
        if (verb := request.path_params["verb"]) != "predict":
            raise ServeError(Code.UNIMPLEMENTED if verb in ("classify", "regress") else
                             Code.INVALID_ARGUMENT, f"Malformed request: POST :{verb[:100]}; "
                             "only :predict is answered")  # fmt: skip
        endpoint.models.check_name(request.path_params["name"])
        number = _version(request)
        with self.bodies.hold() as held:
            body = await held.read(request)
            with endpoint.admitted():
                async with endpoint.models.use(number) as (used, version):
                    if len(body) < _LARGE:
                        asked, inputs = codec.read(body, version.inputs)
                    else:  # the others are not to wait for it
                        asked, inputs = await asyncio.to_thread(codec.read, body, version.inputs)
                    del body
                    outputs = await endpoint.predict(
                        used, version, asked.signature, inputs, asked.rows
                    )
                    return codec.write_answer(outputs, asked.by_row)


def _version(request: Request) -> int | None:
    text = request.path_params.get("version")
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 20):
        raise ServeError(
            Code.INVALID_ARGUMENT, f"Malformed request: {request.method} {request.url.path}"[:300]
        )
    return int(text)
