"""Starts and stops the built-in server.

Other code starts it as a child process: `python -m pipeline.cli serve --engine builtin --model-dir
FOLDER --rest-port PORT --grpc-port PORT`. The server is ready when GET /readyz returns 200 (it then
prints its addresses). SIGTERM drains it and ends it with exit status 0. If it cannot start, it
exits with 2 and one line on stderr.
"""

import asyncio
import importlib
import os
import signal
import socket
from typing import Any

import grpc
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from schema.errors import PneumoError
from serving import NOTICE
from serving.server.api.rest import HEADERS, build_app
from serving.server.endpoint import Endpoint
from serving.server.inputs_log import InputsLog
from serving.server.metrics import ServerMetrics
from serving.server.models import ModelVersions
from serving.server.options import ServerOptions
from serving.server.saved_model import load
from serving.server.versions import scan


def serve(options: ServerOptions) -> None:
    """Serves until SIGTERM or SIGINT.

    Raises:
      PneumoError: the server cannot start.
    """
    if not scan(options.model_dir):
        raise PneumoError(
            f"{options.model_dir} contains no model version; give the folder that "
            "`pneumo run` printed as model"
        )
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    asyncio.run(_serve(options))


async def _serve(options: ServerOptions) -> None:
    listener = _listen(options.host, options.rest_port)
    rpc = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", options.max_body_mib << 20),
            ("grpc.so_reuseport", 0),
        ],
        maximum_concurrent_rpcs=options.max_connections,
    )
    host = f"[{options.host}]" if ":" in options.host else options.host
    _listen(options.host, options.grpc_port).close()  # for a clear message if the port is in use
    grpc_port = rpc.add_insecure_port(f"{host}:{options.grpc_port}")
    models = ModelVersions(options, load, _report)
    metrics = ServerMetrics(models)
    inputs_log = InputsLog(options, metrics.not_logged.inc) if options.log_inputs else None
    endpoint = Endpoint(options, models, metrics, inputs_log)
    watch_task = asyncio.create_task(
        models.watch()
    )  # validates a version while TensorFlow is imported
    grpc_api = await asyncio.to_thread(importlib.import_module, "serving.server.api.grpc_api")
    grpc_api.add_services(endpoint, rpc)
    await rpc.start()
    rest_port = listener.getsockname()[1]
    announce_task = asyncio.create_task(_announce(models, host, rest_port, grpc_port, options.ui))
    server = uvicorn.Server(_web_config(endpoint))
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn handles these signals and raises them again after its shutdown.
        signal.signal(number, lambda *_: None)
    try:
        await server.serve(sockets=[listener])  # returns after active requests are finished
    finally:
        await rpc.stop(options.drain_seconds)
        for task in (watch_task, announce_task):
            task.cancel()
        await asyncio.gather(watch_task, announce_task, return_exceptions=True)
        if inputs_log is not None:
            await asyncio.to_thread(inputs_log.close)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise PneumoError(
            f"cannot listen on port {port} of {host} ({error.strerror}): set --host, --rest-port "
            "or --grpc-port"
        ) from None


def _web_config(endpoint: Endpoint) -> uvicorn.Config:
    options = endpoint.options
    return uvicorn.Config(
        build_app(endpoint),
        http=type("Protocol", (TimedProtocol,), {"seconds": options.slow_seconds}),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        headers=list(HEADERS.items()),
        limit_concurrency=options.max_connections,
        timeout_keep_alive=65,  # above the 60 s of common load balancers
        timeout_graceful_shutdown=int(options.drain_seconds) + 1,
    )


class TimedProtocol(H11Protocol):
    """uvicorn's HTTP protocol; closes connections without a new request for `seconds`."""

    seconds = 30.0
    _previous: Any = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Starts the timer."""
        super().connection_made(transport)
        self.loop.call_later(self.seconds, self._check)

    def _check(self) -> None:
        active = self.cycle is not None and not self.cycle.response_complete
        if not active and self.cycle is self._previous:
            self.transport.close()
        elif not self.transport.is_closing():
            self._previous = self.cycle
            self.loop.call_later(self.seconds, self._check)


async def _announce(
    models: ModelVersions, host: str, rest_port: int, grpc_port: int, ui: bool
) -> None:
    while not models.available:
        await asyncio.sleep(0.05)
    page = f", page http://{host}:{rest_port}/ui/" if ui else ""
    _report(
        f"model {models.name} version {models.available[0]} on http://{host}:{rest_port} and "
        f"grpc://{host}:{grpc_port}{page} (built-in server). {NOTICE}"
    )


def _report(line: str) -> None:
    print(f"pneumo serve: {line}", flush=True)
