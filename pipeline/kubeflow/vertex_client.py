"""Submits a compiled graph to Vertex AI through its own client."""

import contextlib
import importlib.util
import json
from collections.abc import Iterator
from typing import Any, Final

from pipeline.kubeflow.compiled_pipeline import CompiledPipeline, SubmittedRun
from pipeline.kubeflow.options import DeployOptions
from schema.errors import PneumoError, one_line

_TIMEOUT_S: Final = 60.0
_STATES: Final = "PIPELINE_STATE_"
_FINAL: Final = ("SUCCEEDED", "FAILED", "CANCELLED", "PAUSED")
_HINTS: Final = {
    401: "log in again with `gcloud auth application-default login`",
    403: "the account needs the role Vertex AI User, and the API must be enabled",
    404: "check --project and --region",
    503: "no response: check --region and the network",
    504: "no response: check --region and the network",
}


def submit(
    compiled: CompiledPipeline, deploy: DeployOptions, values: dict[str, Any]
) -> SubmittedRun:
    """Creates a PipelineJob.

    Raises:
      PneumoError: no credentials, project, region or bucket, or the job is rejected.
    """
    if importlib.util.find_spec("google.cloud.aiplatform") is None:
        raise PneumoError(
            "package google-cloud-aiplatform is not installed; pip install 'pneumo-tfx[cloud]'"
        )
    if not deploy.region:
        raise PneumoError(
            "no region: set --region, such as europe-west4, GOOGLE_CLOUD_REGION, or deploy.region "
            "in the configuration of --config"
        )
    credentials, project = _credentials(deploy.project)
    from google.cloud import aiplatform_v1

    endpoint = deploy.api_endpoint or f"{deploy.region}-aiplatform.googleapis.com"
    api = aiplatform_v1.PipelineServiceClient(
        credentials=credentials, client_options={"api_endpoint": endpoint}
    )
    place = f"Vertex AI ({endpoint}), project {project}, region {deploy.region}"
    with _api_errors(place):
        _check_bucket(compiled.root, project, deploy.region, credentials)
        message, job_id = _job(compiled, deploy, values, project, credentials)
        job = api.create_pipeline_job(
            parent=f"projects/{project}/locations/{deploy.region}",
            pipeline_job=message,
            pipeline_job_id=job_id,
            timeout=_TIMEOUT_S,
        )

    def state() -> str:
        with _api_errors(place):
            name = api.get_pipeline_job(name=job.name, timeout=_TIMEOUT_S).state.name
        return str(name.removeprefix(_STATES))

    runs = f"https://console.cloud.google.com/vertex-ai/locations/{deploy.region}/pipelines/runs"
    return SubmittedRun(job.name, f"{runs}/{job_id}?project={project}", state, _FINAL)


def _credentials(project: str | None) -> tuple[Any, str]:
    import google.auth
    from google.auth import exceptions

    try:
        credentials, own = google.auth.default(["https://www.googleapis.com/auth/cloud-platform"])
    except exceptions.GoogleAuthError as error:
        raise PneumoError(
            f"no Google Cloud credentials ({one_line(error)}); run `gcloud auth "
            "application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS"
        ) from None
    if not (project or own):
        raise PneumoError(
            "no project: set --project, GOOGLE_CLOUD_PROJECT, or deploy.project in the "
            "configuration of --config"
        )
    return credentials, str(project or own)


def _job(
    compiled: CompiledPipeline,
    deploy: DeployOptions,
    values: dict[str, Any],
    project: str,
    credentials: Any,
) -> tuple[Any, str]:
    """Builds the message with Vertex AI's client; returns it and the id of the job.

    The client's `submit` is not used: it first looks up the owner of the bucket, which takes
    minutes on networks that reach only Vertex AI.
    """
    from google.cloud import aiplatform, aiplatform_v1

    try:
        job = aiplatform.PipelineJob(
            display_name=compiled.name,
            template_path=str(compiled.file),
            parameter_values=values,
            pipeline_root=compiled.root,
            labels={"pneumo-experiment": deploy.experiment} if deploy.experiment else None,
            project=project,
            location=deploy.region,
            credentials=credentials,
        )
    except ValueError as error:
        raise PneumoError(f"{compiled.file}: {one_line(error)}") from None
    message = aiplatform_v1.PipelineJob.from_json(json.dumps(job.to_dict()))
    message.service_account = deploy.service_account or ""
    return message, job.job_id


def _check_bucket(root: str, project: str, region: str, credentials: Any) -> None:
    """Checks the bucket; Vertex AI's client retries for two minutes and ignores the failure."""
    from google.api_core import exceptions
    from google.cloud import storage  # type: ignore[attr-defined]

    name = root.removeprefix("gs://").split("/")[0]
    client = storage.Client(project=project, credentials=credentials)
    try:
        exists = client.bucket(name).exists(timeout=_TIMEOUT_S, retry=None)
    except exceptions.Forbidden:
        return  # only the service account needs access
    except OSError as error:
        raise PneumoError(
            f"gs://{name}: no response ({one_line(error)}); check the network"
        ) from None
    if not exists:
        raise PneumoError(
            f"bucket gs://{name} does not exist; create it with `gcloud storage buckets create "
            f"gs://{name} --project {project} --location {region}`"
        )


@contextlib.contextmanager
def _api_errors(place: str) -> Iterator[None]:
    from google.api_core import exceptions
    from google.auth import exceptions as auth

    try:
        yield
    except exceptions.GoogleAPICallError as error:
        code = int(error.code or 0)
        hint = _HINTS.get(code, "the run was rejected")
        raise PneumoError(f"{place}: {code} ({one_line(error)}): {hint}") from None
    except auth.GoogleAuthError as error:
        raise PneumoError(f"{place}: {one_line(error)}: {_HINTS[401]}") from None
