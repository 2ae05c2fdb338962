"""Sends a compiled graph to Vertex AI through its own client."""

import importlib.util
import json
from typing import Any, Final

from pipeline.kubeflow.submit import Compiled, Sent, Where, until
from schema.errors import PneumoError

_TIMEOUT_S: Final = 60.0
_STATES: Final = "PIPELINE_STATE_"
_ENDED: Final = ("SUCCEEDED", "FAILED", "CANCELLED", "PAUSED")


def send_to_vertex(compiled: Compiled, where: Where, values: dict[str, Any]) -> Sent:
    """Makes a PipelineJob.

    Raises:
      PneumoError: no credentials, project, region or bucket, or Vertex AI refuses.
    """
    if importlib.util.find_spec("google.cloud.aiplatform") is None:
        raise PneumoError(
            "package google-cloud-aiplatform is not installed; pip install 'pneumo-tfx[cloud]'"
        )
    if not where.region:
        raise PneumoError(
            "no region: give --region, as europe-west4, GOOGLE_CLOUD_REGION, or deploy.region in "
            "the configuration given with --config"
        )
    import google.auth
    from google.api_core import exceptions
    from google.auth import exceptions as auth

    try:
        credentials, own_project = google.auth.default(
            scopes=["https://www.googleapis.com/auth/cloud-platform"]
        )
    except auth.GoogleAuthError as error:
        raise PneumoError(
            f"no credentials of Google Cloud ({_line(error)}); run `gcloud auth "
            "application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS"
        ) from None
    project = where.project or own_project
    if not project:
        raise PneumoError(
            "no project: give --project, GOOGLE_CLOUD_PROJECT, or deploy.project in the "
            "configuration given with --config"
        )
    from google.cloud import aiplatform_v1

    api = aiplatform_v1.PipelineServiceClient(
        credentials=credentials, client_options={"api_endpoint": _endpoint(where)}
    )
    try:
        _bucket(compiled.root, project, where.region, credentials)
        message, job_id = _job(compiled, where, values, project, credentials)
        job = api.create_pipeline_job(
            parent=f"projects/{project}/locations/{where.region}",
            pipeline_job=message,
            pipeline_job_id=job_id,
            timeout=_TIMEOUT_S,
        )
    except exceptions.GoogleAPICallError as error:
        raise PneumoError(_refused(project, where, error)) from None
    except auth.GoogleAuthError as error:
        raise PneumoError(
            f"the credentials of Google Cloud are refused ({_line(error)}); log in again with "
            "`gcloud auth application-default login`"
        ) from None

    def state() -> str:
        try:
            found = api.get_pipeline_job(name=job.name, timeout=_TIMEOUT_S).state.name
        except exceptions.GoogleAPICallError as error:
            raise PneumoError(_refused(project, where, error)) from None
        return str(found.removeprefix(_STATES))

    page = f"https://console.cloud.google.com/vertex-ai/locations/{where.region}/pipelines/runs/"
    return Sent(job.name, f"{page}{job_id}?project={project}", lambda: until(state, _ENDED))


def _job(
    compiled: Compiled, where: Where, values: dict[str, Any], project: str, credentials: Any
) -> tuple[Any, str]:
    """The message as Vertex AI's own client makes it, and the id of the job.

    Its `submit` is not used: it first asks the resource manager who owns the bucket, and waits
    minutes where a network lets only Vertex AI through.
    """
    from google.cloud import aiplatform, aiplatform_v1

    try:
        made = aiplatform.PipelineJob(
            display_name=compiled.name,
            template_path=str(compiled.file),
            parameter_values=values,
            pipeline_root=compiled.root,
            labels={"pneumo-experiment": where.experiment} if where.experiment else None,
            project=project,
            location=where.region,
            credentials=credentials,
        )
    except ValueError as error:
        raise PneumoError(f"{compiled.file}: {_line(error)}") from None
    message = aiplatform_v1.PipelineJob.from_json(json.dumps(made.to_dict()))
    message.service_account = where.service_account
    return message, made.job_id


def _endpoint(where: Where) -> str:
    return where.endpoint or f"{where.region}-aiplatform.googleapis.com"


def _bucket(root: str, project: str, region: str, credentials: Any) -> None:
    """Vertex AI's client would look for it for two minutes and go on without."""
    from google.api_core import exceptions
    from google.cloud import storage  # type: ignore[attr-defined]

    name = root.removeprefix("gs://").split("/")[0]
    client = storage.Client(project=project, credentials=credentials)
    try:
        there = client.bucket(name).exists(timeout=_TIMEOUT_S, retry=None)
    except exceptions.Forbidden:
        return  # who submits need not see it; the service account must
    except OSError as error:
        raise PneumoError(
            f"gs://{name} cannot be asked for ({_line(error)}); check the network"
        ) from None
    if not there:
        raise PneumoError(
            f"bucket gs://{name} does not exist; make it with `gcloud storage buckets create "
            f"gs://{name} --project {project} --location {region}`"
        )


def _refused(project: str, where: Where, error: Any) -> str:
    code = int(getattr(error, "code", 0) or 0)
    told = f"Vertex AI, project {project}, region {where.region}: {code} ({_line(error)})"
    if code == 401:
        return f"{told}: log in again with `gcloud auth application-default login`"
    if code == 403:
        return f"{told}: the account needs the role Vertex AI User there, and the API enabled"
    if code == 404:
        return f"{told}: check --project and --region"
    if code in (503, 504):
        return f"{told}: {_endpoint(where)} does not answer; check --region and the network"
    return f"{told}: it does not take the run"


def _line(error: BaseException) -> str:
    text = getattr(error, "message", "") or str(error)
    return " ".join(str(text).split())[:200] or type(error).__name__
