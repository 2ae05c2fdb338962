"""uvicorn, with limits on what a client may do before its request is complete."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serving.server.options import Limits

_HEAD = 64 << 10  # bytes of a request's head
_KEEP = 65  # seconds that an idle connection is kept; above the 60 of common balancers


class _Protocol(HttpToolsProtocol):
    """Closes connections whose head is too slow or too long."""

    slow = 30.0
    _timer: asyncio.TimerHandle | None = None
    _head = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_is_there()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.cycle is None or self.cycle.response_complete:
            if self._timer is None:
                self._await_head()
            self._head += len(data)
        super().data_received(data)
        if self._timer is not None and self._head > _HEAD and not self.transport.is_closing():
            self.send_400_response("The head of the request is too long.")

    def on_headers_complete(self) -> None:
        self._head_is_there()
        super().on_headers_complete()

    def _await_head(self) -> None:
        self._head = 0
        self._timer = self.loop.call_later(self.slow, self.transport.close)

    def _head_is_there(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class WebServer(uvicorn.Server):
    """Serves an application; signals are left to the caller.

    Args:
      app: ASGI.
      limits: for clients.
    """

    def __init__(self, app: Any, limits: Limits) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=type("Protocol", (_Protocol,), {"slow": limits.slow}),
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=False,
                limit_concurrency=limits.connections,
                timeout_keep_alive=_KEEP,
                timeout_graceful_shutdown=2,
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """None of uvicorn's own."""
        yield

    def stop(self) -> None:
        """Ends it, once what it answers is answered."""
        self.should_exit = True

    async def listen(self, sock: socket.socket) -> None:
        """Serves on a bound socket until `stop`."""
        await self.serve([sock])
