"""Submits a compiled graph to Kubeflow Pipelines through its own client."""

import contextlib
import datetime
import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any, Final

from pipeline.kubeflow.compiled_pipeline import CompiledPipeline, SubmittedRun
from pipeline.kubeflow.options import DeployOptions
from schema.errors import PneumoError

TOKEN: Final = "PNEUMO_KFP_TOKEN"
_FINAL: Final = ("SUCCEEDED", "FAILED", "SKIPPED", "CANCELED", "ERROR")
_TIMEOUT_S: Final = 20.0
_HINTS: Final = {
    401: f"authentication required: set {TOKEN} to a bearer token",
    403: "permission denied: request access, or use another --namespace",
    404: "not the API of Kubeflow Pipelines 2: check --host and --namespace",
}


def submit(
    compiled: CompiledPipeline, deploy: DeployOptions, values: dict[str, Any]
) -> SubmittedRun:
    """Creates a run.

    Raises:
      PneumoError: no host, no response, or the run is rejected.
    """
    host, token = deploy.host or "", os.environ.get(TOKEN, "")
    if not host:
        raise PneumoError(
            "no host: set --host http://ADDRESS of Kubeflow Pipelines, KF_PIPELINES_ENDPOINT, or "
            "deploy.host in the configuration of --config"
        )
    if not host.startswith(("http://", "https://")):
        raise PneumoError(f"--host {host}: the address must start with http:// or https://")
    _check_health(host, token)
    import kfp

    with _api_errors(host):
        client = kfp.Client(
            host=host, namespace=deploy.namespace or "kubeflow", existing_token=token or None
        )
        run = client.create_run_from_pipeline_package(
            str(compiled.file),
            arguments=values,
            run_name=f"{compiled.name} {datetime.datetime.now():%Y-%m-%d %H-%M-%S}",
            experiment_name=deploy.experiment or "Default",
            namespace=deploy.namespace,
            pipeline_root=compiled.root or None,
            service_account=deploy.service_account,
        )

    def state() -> str:
        with _api_errors(host):
            return str(client.get_run(run.run_id).state or "").upper()

    page = f"{host.rstrip('/')}/#/runs/details/{run.run_id}"
    return SubmittedRun(run.run_id, page, state, _FINAL)


def _check_health(host: str, token: str) -> None:
    """Checks the server once; the client would retry five times and raise a bare TimeoutError."""
    request = urllib.request.Request(f"{host.rstrip('/')}/apis/v2beta1/healthz")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        urllib.request.urlopen(request, timeout=_TIMEOUT_S).close()
    except urllib.error.HTTPError as error:
        raise PneumoError(_message(host, error.code, error.read())) from None
    except (OSError, ValueError) as error:
        raise PneumoError(
            f"--host {host} does not respond ({getattr(error, 'reason', error)}); check the "
            "address, the port-forward and the network"
        ) from None


@contextlib.contextmanager
def _api_errors(host: str) -> Iterator[None]:
    import kfp_server_api

    try:
        yield
    except kfp_server_api.ApiException as error:
        raise PneumoError(_message(host, int(error.status or 0), error.body)) from None


def _message(host: str, status: int, body: Any) -> str:
    text = body.decode(errors="replace") if isinstance(body, bytes) else str(body or "")
    with contextlib.suppress(ValueError, AttributeError):
        details = json.loads(text)
        text = str(details.get("error_message") or details.get("message") or details.get("error"))
    detail = "" if text.lstrip().startswith("<") else " ".join(text.split())[:200]
    hint = _HINTS.get(status, "the run was rejected")
    return f"{host}: {status}" + (f" ({detail})" if detail else "") + f": {hint}"
