"""Kubeflow Pipelines API for its client, over HTTP on loopback."""

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

API = "/apis/v2beta1"


@dataclass
class KubeflowApi:
    """Responses of the server and requests that it received.

    Attributes:
      token: required bearer token; empty: none.
      refuse: path below the API -> error status and message.
      states: states of the run, one per request.
      runs: bodies of the created runs.
      experiments: names of the existing experiments.
      url: address.
    """

    token: str = ""
    refuse: dict[str, tuple[int, str]] = field(default_factory=dict)
    states: list[str] = field(default_factory=lambda: ["PENDING", "RUNNING", "SUCCEEDED"])
    runs: list[dict[str, Any]] = field(default_factory=list)
    experiments: list[str] = field(default_factory=list)
    url: str = ""


@contextlib.contextmanager
def kubeflow_api(api: KubeflowApi) -> Iterator[KubeflowApi]:
    """Serves the API while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def respond(self, status: int, body: dict[str, Any]) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def refused(self) -> bool:
            path = self.path.partition("?")[0].removeprefix(API)
            if api.token and self.headers.get("Authorization") != f"Bearer {api.token}":
                self.respond(401, {"error": "missing token"})
                return True
            if path in api.refuse:
                status, message = api.refuse[path]
                self.respond(status, {"error_message": message})
                return True
            return False

        def do_GET(self) -> None:
            path = self.path.partition("?")[0].removeprefix(API)
            if self.refused():
                return
            if path == "/healthz":
                self.respond(200, {"multi_user": False})
            elif path == "/experiments":
                known = [_experiment(name) for name in api.experiments]
                self.respond(200, {"experiments": known} if known else {})
            elif path == "/runs/run-1":
                state = api.states.pop(0) if len(api.states) > 1 else api.states[0]
                self.respond(200, {"run_id": "run-1", "state": state})
            else:
                self.respond(404, {"error": f"no {path}"})

        def do_POST(self) -> None:
            path = self.path.partition("?")[0].removeprefix(API)
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.refused():
                return
            if path == "/experiments":
                api.experiments.append(body["display_name"])
                self.respond(200, _experiment(body["display_name"]))
            elif path == "/runs":
                api.runs.append(body)
                self.respond(200, {"run_id": "run-1", "state": "PENDING"})
            else:
                self.respond(404, {"error": f"no {path}"})

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    api.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _experiment(name: str) -> dict[str, str]:
    return {"experiment_id": f"id-of-{name}", "display_name": name}
