"""Sends a compiled graph to Kubeflow Pipelines through its own client."""

import datetime
import json
import urllib.error
import urllib.request
from typing import Any, Final

from pipeline.kubeflow.compile import need_packages
from pipeline.kubeflow.submit import Compiled, Sent, Where, until
from schema.errors import PneumoError

TOKEN: Final = "PNEUMO_KFP_TOKEN"
_ENDED: Final = ("SUCCEEDED", "FAILED", "SKIPPED", "CANCELED", "ERROR")
_TIMEOUT_S: Final = 20.0


def send_to_kubeflow(compiled: Compiled, where: Where, values: dict[str, Any]) -> Sent:
    """Makes a run.

    Raises:
      PneumoError: no host, it does not answer, or it refuses.
    """
    need_packages()
    if not where.host:
        raise PneumoError(
            "no host: give --host http://ADDRESS of Kubeflow Pipelines, KF_PIPELINES_ENDPOINT, or "
            "deploy.host in the configuration given with --config"
        )
    if not where.host.startswith(("http://", "https://")):
        raise PneumoError(f"--host {where.host}: give it with http:// or https://")
    _answers(where)
    import kfp
    import kfp_server_api

    try:
        client = kfp.Client(
            host=where.host,
            namespace=where.namespace or "kubeflow",
            existing_token=where.token or None,
        )
        now = datetime.datetime.now().strftime("%Y-%m-%d %H-%M-%S")
        run = client.create_run_from_pipeline_package(
            str(compiled.file),
            arguments=values,
            run_name=f"{compiled.name} {now}",
            experiment_name=where.experiment or "Default",
            namespace=where.namespace or None,
            pipeline_root=compiled.root or None,
            service_account=where.service_account or None,
        )
    except kfp_server_api.ApiException as error:
        raise PneumoError(_refused(where, int(error.status or 0), _message(error.body))) from None

    def state() -> str:
        try:
            return str(client.get_run(run.run_id).state or "").upper()
        except kfp_server_api.ApiException as error:
            told = _refused(where, int(error.status or 0), _message(error.body))
            raise PneumoError(told) from None

    page = f"{where.host.rstrip('/')}/#/runs/details/{run.run_id}"
    return Sent(run.run_id, page, lambda: until(state, _ENDED))


def _answers(where: Where) -> None:
    """The client would try five times and then say `TimeoutError`; this says what is wrong."""
    request = urllib.request.Request(f"{where.host.rstrip('/')}/apis/v2beta1/healthz")
    if where.token:
        request.add_header("Authorization", f"Bearer {where.token}")
    try:
        urllib.request.urlopen(request, timeout=_TIMEOUT_S).close()
    except urllib.error.HTTPError as error:
        body = error.read().decode(errors="replace")
        raise PneumoError(_refused(where, error.code, _message(body))) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise PneumoError(
            f"--host {where.host} does not answer ({reason}); check the address, the port-forward "
            "and the network"
        ) from None


def _refused(where: Where, status: int, message: str) -> str:
    told = f"{where.host}: {status}" + (f" ({message})" if message else "")
    if status == 401:
        return f"{told}: it wants to know who asks; give a bearer token in {TOKEN}"
    if status == 403:
        return f"{told}: this account may not; ask for access, or give another --namespace"
    if status == 404:
        return f"{told}: this is not the API of Kubeflow Pipelines 2; check --host and --namespace"
    return f"{told}: it does not take the run"


def _message(body: Any) -> str:
    """The server's own words."""
    text = body.decode(errors="replace") if isinstance(body, bytes) else str(body or "")
    try:
        told = json.loads(text)
        text = str(told.get("error_message") or told.get("message") or told.get("error") or "")
    except (ValueError, AttributeError):
        text = "" if text.lstrip().startswith("<") else text
    return " ".join(text.split())[:200]
