"""The CronJob against Kubernetes's own schema, and its arguments against the command."""

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from pipeline.commands.watch import command

FILE = Path(__file__).parents[3] / "serving" / "deploy" / "retrain" / "cronjob.yaml"
DOCUMENTS: list[dict[str, Any]] = list(yaml.safe_load_all(FILE.read_text()))
VERSIONS = ("1.33", kubernetes_validate.latest_version())


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda found: found["kind"])
def test_strictly_valid(document: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(document, version, strict=True)


def test_the_command_takes_its_arguments() -> None:
    pod = DOCUMENTS[1]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    name, *arguments = pod["containers"][0]["args"]

    given = command.make_context(name, list(arguments)).params

    assert name == "watch"
    assert given["once"]
    assert given["spec"] is not None
    mounts = {mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
    assert all(str(given[key]).startswith("/images/") for key in ("data", "inbox", "workdir"))
    assert {"/images", "/spec"} <= mounts


def test_volumes_are_there() -> None:
    pod = DOCUMENTS[1]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    images = next(volume for volume in pod["volumes"] if volume["name"] == "images")

    assert images["persistentVolumeClaim"]["claimName"] == DOCUMENTS[0]["metadata"]["name"]
    assert {m["name"] for m in pod["containers"][0]["volumeMounts"]} == {
        volume["name"] for volume in pod["volumes"]
    }
