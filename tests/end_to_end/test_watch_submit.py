"""A watch that stores records in an object store and sends a compiled spec to a cluster's API."""

import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from pipeline.kubeflow.ready import as_text
from tests.pipeline.kubeflow.compiled import spec_of
from tests.support.kubeflow_api import KubeflowApi, kubeflow_api
from tests.support.runs import pneumo
from tests.support.stores import s3


def test_images_land_and_a_run_is_sent(
    phantoms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = tmp_path / "graph.yaml"
    spec.write_text(as_text(spec_of("demo"), "kubeflow"))
    work = tmp_path / "work"

    def once(*more: str, status: int = 0) -> list[dict[str, Any]]:
        done = pneumo(
            "watch", "--once", "--settle", "0", "--config", "demo", "--data", phantoms,
            "--workdir", work, "--submit", spec, "--records", "s3://pneumo/records",
            "--param", "epochs=2", "--backoff", "0", *more, check=False,
        )  # fmt: skip
        assert done.returncode == status, f"{done.stdout}\n{done.stderr}"
        return [json.loads(line) for line in done.stdout.splitlines()]

    with s3(tmp_path) as store, kubeflow_api(KubeflowApi()) as api:
        for name, value in store.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("KF_PIPELINES_ENDPOINT", "http://127.0.0.1:9")  # nobody answers there
        lines = once(status=1)
        assert [line["event"] for line in lines] == ["start", "failed"]
        assert lines[-1]["status"] == 2
        assert api.runs == []

        monkeypatch.setenv("KF_PIPELINES_ENDPOINT", api.url)
        lines = once()
        assert [line["event"] for line in lines] == ["start", "done"]
        assert lines[0]["reason"] == "retry"
        (run,) = api.runs
        given = run["runtime_config"]["parameters"]
        facts = json.loads((work / "records" / "dataset.json").read_text())
        assert given == {
            "epochs": 2, "data": f"s3://pneumo/records/{facts['content_sha256'][:16]}",
        }  # fmt: skip
        with urllib.request.urlopen(f"{store.url}/pneumo?list-type=2") as answer:
            kept = answer.read().decode()
        for name in ("dataset.json", "manifest.jsonl", "train-00000-of-00001.tfrecord"):
            assert f"records/{facts['content_sha256'][:16]}/{name}" in kept

        assert [line["line"] for line in once()] == ["nothing new"]
    assert len(api.runs) == 1
