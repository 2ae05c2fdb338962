"""One server from start to end."""

import asyncio
import contextlib
import errno
import signal
import socket
import sys
import time
from typing import Any

import click

from schema.errors import PneumoError
from serving.server.options import Options

_START = 300.0  # seconds that the first version has; a large model on a busy machine takes long


def serve(options: Options) -> int:
    """Serves until SIGTERM or SIGINT; returns the exit status.

    Raises:
      PneumoError: it cannot start.
    """
    from serving.server.fleet import Fleet
    from serving.server.versions import scan

    if not scan(options.model_dir):
        raise PneumoError(
            f"{options.model_dir} holds no version of a model; give the folder that "
            "`pneumo run` printed as model"
        )
    sockets = [bind(options.host, port) for port in (options.rest_port, options.grpc_port)]
    fleet = Fleet(options.replicas, options.max_batch, options.threads, 2 * options.limits.requests)
    # A signal during the start ends it like any other error: Ray's processes go with it.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _interrupt)
    try:
        fleet.start()
        import uvloop

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_serve(options, fleet, sockets))
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        fleet.stop()


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def bind(host: str, port: int) -> socket.socket:
    """A listening address.

    Raises:
      PneumoError: it cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        why = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be had: {error.strerror}"
        raise _not_had(host, port, why) from None
    return sock


def _not_had(host: str, port: int, why: str) -> PneumoError:
    return PneumoError(f"port {port} of {host} {why}; choose others by --rest-port and --grpc-port")


async def _serve(options: Options, fleet: Any, sockets: list[socket.socket]) -> int:
    import grpc

    from serving.server import rest
    from serving.server.endpoint import Endpoint
    from serving.server.grpc_api import services
    from serving.server.inputs_log import InputsLog
    from serving.server.metrics import Metrics
    from serving.server.models import Models
    from serving.server.web import WebServer

    loop = asyncio.get_running_loop()
    limits = options.limits
    models = Models(
        options.name, options.model_dir, options.policy, fleet, options.poll, limits.drain, _say
    )
    metrics = Metrics(models)
    inputs = None
    if options.log_inputs is not None:
        inputs = InputsLog(
            options.log_inputs, options.log_sample, options.log_embeddings, metrics.not_logged.inc
        )
    endpoint = Endpoint(models, limits, metrics, inputs)
    rest_socket, grpc_socket = sockets
    web = WebServer(rest.build_app(endpoint, options.ui), limits)
    listening = asyncio.create_task(web.listen(rest_socket))
    # gRPC binds by itself; the socket has kept its place until now.
    host, grpc_port = grpc_socket.getsockname()[:2]
    grpc_socket.close()
    rpc = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", limits.body),
            ("grpc.so_reuseport", 0),
            ("grpc.http2.max_ping_strikes", 10),
        ],
        maximum_concurrent_rpcs=limits.connections,
    )
    rpc.add_generic_rpc_handlers(services(endpoint))
    try:
        rpc.add_insecure_port(f"[{host}]:{grpc_port}" if ":" in host else f"{host}:{grpc_port}")
    except RuntimeError:  # somebody took it in between; gRPC has no error of its own for that
        raise _not_had(host, grpc_port, "is in use") from None
    await rpc.start()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    watching = asyncio.create_task(models.watch())
    told = asyncio.create_task(_tell_ready(options, models, rest_socket, grpc_port))
    guard = asyncio.create_task(_guard(fleet, stop))
    try:
        await stop.wait()
        lost = guard.done()
        _say("stops: requests under way are answered first" if not lost else "Ray ended; stops")
        endpoint.stopping = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limits.drain):
                await models.idle()
        await rpc.stop(1.0)
        web.stop()
        await listening
        return 1 if lost else 0
    finally:
        for task in (watching, told, guard, listening):
            task.cancel()
        if inputs is not None:
            inputs.close()


async def _guard(fleet: Any, stop: asyncio.Event) -> None:
    """Sets stop where Ray itself is gone: whoever started the server can then start it anew."""
    missed = 0
    while missed < 3:
        await asyncio.sleep(5.0)
        try:
            async with asyncio.timeout(30.0):
                missed = 0 if await asyncio.to_thread(fleet.alive) else missed + 1
        except TimeoutError:
            missed += 1
    stop.set()


async def _tell_ready(
    options: Options, models: Any, rest_socket: socket.socket, grpc_port: int
) -> None:
    at = time.monotonic()
    while not models.available:
        if time.monotonic() - at > _START:
            _say("no version is loaded yet; the status of the model says why")
            return
        await asyncio.sleep(0.05)
    host, port = rest_socket.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    page = f", page http://{shown}:{port}/ui/" if options.ui else ""
    _say(
        f"model {options.name} version {models.available[0]} on http://{shown}:{port} and "
        f"grpc://{shown}:{grpc_port}{page} (Ray Serve). Research software, not a medical device."
    )


def _say(line: str) -> None:
    click.echo(f"pneumo serve: {line}")
    sys.stdout.flush()
