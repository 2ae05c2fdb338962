"""PipelineService of Vertex AI for its client, over gRPC with TLS on loopback."""

import contextlib
import json
import threading
from collections.abc import Iterator
from concurrent import futures
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

SERVICE = "google.cloud.aiplatform.v1.PipelineService"


@dataclass
class VertexApi:
    """Responses of the service and requests that it received.

    Attributes:
      refuse: names of the gRPC error statuses of the next requests for new jobs.
      states: states of the job, one per request.
      requests: CreatePipelineJobRequest, as dicts.
      endpoint: HOST:PORT.
      environment: variables with the certificate and the credentials for the client.
    """

    refuse: list[str] = field(default_factory=list)
    states: list[str] = field(default_factory=lambda: ["PENDING", "RUNNING", "SUCCEEDED"])
    requests: list[dict[str, Any]] = field(default_factory=list)
    endpoint: str = ""
    environment: dict[str, str] = field(default_factory=dict)


@contextlib.contextmanager
def vertex_api(api: VertexApi, folder: Path) -> Iterator[VertexApi]:
    """Serves the API while the block runs; keys and certificates lie in `folder`."""
    import grpc
    from google.cloud.aiplatform_v1 import types

    job = types.PipelineJob()

    def next_state() -> Any:
        state = api.states.pop(0) if len(api.states) > 1 else api.states[0]
        job.state = types.PipelineState[f"PIPELINE_STATE_{state}"]
        return job

    def create(request: Any, context: Any) -> Any:
        api.requests.append(types.CreatePipelineJobRequest.to_dict(request))
        if api.refuse:
            status = api.refuse.pop(0)
            context.abort(grpc.StatusCode[status], f"refused with {status}")
        types.PipelineJob.copy_from(job, request.pipeline_job)
        job.name = f"{request.parent}/pipelineJobs/{request.pipeline_job_id}"
        return next_state()

    methods = {
        "CreatePipelineJob": grpc.unary_unary_rpc_method_handler(
            create,
            types.CreatePipelineJobRequest.deserialize,
            types.PipelineJob.serialize,
        ),
        "GetPipelineJob": grpc.unary_unary_rpc_method_handler(
            lambda *_: next_state(),
            types.GetPipelineJobRequest.deserialize,
            types.PipelineJob.serialize,
        ),
    }
    key, certificate = _certificate(folder)
    server = grpc.server(futures.ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, methods),))
    port = server.add_secure_port(
        "localhost:0", grpc.ssl_server_credentials([(key.read_bytes(), certificate.read_bytes())])
    )
    server.start()
    api.endpoint = f"localhost:{port}"
    try:
        with _token_server() as token_uri:
            api.environment = {
                "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(certificate),
                "GOOGLE_APPLICATION_CREDENTIALS": str(_account(folder, key, token_uri)),
                "NO_GCE_CHECK": "true",
            }
            yield api
    finally:
        server.stop(0).wait()


def _certificate(folder: Path) -> tuple[Path, Path]:
    import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.x509.oid import NameOID

    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(private, hashes.SHA256())
    )
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return key, certificate


def _account(folder: Path, key: Path, token_uri: str) -> Path:
    """Writes the file of a service account whose tokens come from `token_uri`."""
    file = folder / "account.json"
    account = {
        "type": "service_account",
        "project_id": "project-of-the-account",
        "private_key_id": "1",
        "private_key": key.read_text(),
        "client_email": "submit@example.com",
        "token_uri": token_uri,
    }
    file.write_text(json.dumps(account))
    return file


@contextlib.contextmanager
def _token_server() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            data = json.dumps(
                {"access_token": "t", "expires_in": 3600, "token_type": "Bearer"}
            ).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/token"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
