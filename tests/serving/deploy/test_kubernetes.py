"""Manifests against Kubernetes's own schemas, and against each other."""

import copy
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from serving.server.engines import IMAGE

DEPLOY = Path(__file__).parents[3] / "serving" / "deploy"
FOLDER = DEPLOY / "kubernetes"
# The oldest release that is still kept up, and the newest whose schemas are here.
VERSIONS = ("1.33", kubernetes_validate.latest_version())


def documents(file: Path) -> list[dict[str, Any]]:
    return [manifest for manifest in yaml.safe_load_all(file.read_text()) if manifest]


MANIFESTS = {
    f"{file.name}:{manifest['kind']}/{manifest['metadata']['name']}": manifest
    for file in sorted(FOLDER.glob("*.yaml"))
    if file.name != "kustomization.yaml"
    for manifest in documents(file)
}
ISVC = documents(DEPLOY / "kserve" / "inferenceservice.yaml")[0]
KINDS = {
    "Namespace",
    "PersistentVolumeClaim",
    "ConfigMap",
    "Deployment",
    "Service",
    "HorizontalPodAutoscaler",
    "PodDisruptionBudget",
    "NetworkPolicy",
}


def one(kind: str) -> dict[str, Any]:
    return next(manifest for manifest in MANIFESTS.values() if manifest["kind"] == kind)


def pod() -> dict[str, Any]:
    return one("Deployment")["spec"]["template"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", MANIFESTS)
def test_strictly_valid(name: str, version: str) -> None:
    kubernetes_validate.validate(MANIFESTS[name], version, strict=True)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("spec", "replica"), 2),
        (("spec", "template", "spec", "containers", 0, "ports", 0, "containerPort"), "8500"),
        (("spec", "template", "spec", "securityContext", "runAsNonRoot"), "yes"),
    ],
)
def test_invalid_manifests_are_detected(path: tuple[Any, ...], value: Any) -> None:
    broken = copy.deepcopy(one("Deployment"))
    at: Any = broken
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, VERSIONS[-1], strict=True)


def test_all_manifests_are_listed() -> None:
    assert {manifest["kind"] for manifest in MANIFESTS.values()} == KINDS
    listed = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["resources"]
    assert sorted(listed) == sorted({name.split(":")[0] for name in MANIFESTS})
    assert {manifest["metadata"].get("namespace", "pneumo") for manifest in MANIFESTS.values()} == {
        "pneumo"
    }


def test_selectors_match_the_pods() -> None:
    labels = pod()["metadata"]["labels"].items()
    selectors = [
        one("Deployment")["spec"]["selector"]["matchLabels"],
        one("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        one("NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
        *(f["spec"]["selector"] for f in MANIFESTS.values() if f["kind"] == "Service"),
        *(
            spread["labelSelector"]["matchLabels"]
            for spread in pod()["spec"]["topologySpreadConstraints"]
        ),
    ]
    assert len(selectors) == 7
    assert all(selector.items() <= labels for selector in selectors)
    target = one("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]
    assert target["name"] == one("Deployment")["metadata"]["name"]
    assert "replicas" not in one("Deployment")["spec"]  # the autoscaler's


def test_ports_and_volumes_match() -> None:
    (container,) = pod()["spec"]["containers"]
    named = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert named == {"grpc": 8500, "rest": 8501}
    assert {f"--port={named['grpc']}", f"--rest_api_port={named['rest']}"} <= set(container["args"])
    for manifest in MANIFESTS.values():
        if manifest["kind"] == "Service":
            assert {p["targetPort"] for p in manifest["spec"]["ports"]} <= set(named)
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        (how,) = [
            container[probe][key] for key in ("httpGet", "tcpSocket") if key in container[probe]
        ]
        assert how["port"] in named
    volumes = {volume["name"]: volume for volume in pod()["spec"]["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == set(volumes)
    claim = volumes["models"]["persistentVolumeClaim"]
    assert claim == {
        "claimName": one("PersistentVolumeClaim")["metadata"]["name"],
        "readOnly": True,
    }
    assert volumes["config"]["configMap"]["name"] == one("ConfigMap")["metadata"]["name"]


def test_config_map_equals_the_files() -> None:
    data = one("ConfigMap")["data"]
    assert set(data) == {file.name for file in DEPLOY.glob("*.config")}
    for name, text in data.items():
        assert text == (DEPLOY / name).read_text()
    (container,) = pod()["spec"]["containers"]
    asked = {x.split("=/config/")[1] for x in container["args"] if "=/config/" in x}
    assert asked == set(data)


PREDICTOR = ISVC["spec"]["predictor"]


@pytest.mark.parametrize(
    "spec",
    [pod()["spec"], {**PREDICTOR, "containers": [PREDICTOR["model"]]}],
    ids=["deployment", "kserve"],
)
def test_least_privileges(spec: dict[str, Any]) -> None:
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] > 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    (container,) = spec["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    for kind in ("requests", "limits"):
        assert {"cpu", "memory"} <= set(container["resources"][kind])


def test_the_end_of_a_pod_leaves_time_for_the_longest_answer() -> None:
    (container,) = pod()["spec"]["containers"]
    (longest,) = [
        int(x.split("=")[1]) / 1000 for x in container["args"] if x.startswith("--rest_api_timeout")
    ]
    pause = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod()["spec"]["terminationGracePeriodSeconds"] >= longest + pause


def test_one_server_everywhere() -> None:
    (container,) = pod()["spec"]["containers"]
    compose = yaml.safe_load((DEPLOY / "docker-compose.yaml").read_text())
    assert {container["image"], compose["services"]["pneumo"]["image"]} == {IMAGE}
    assert ISVC["spec"]["predictor"]["model"]["runtimeVersion"] == IMAGE.rpartition(":")[2]


# Fields of KServe's custom resource that are used here; the others are those of a pod.
_MODEL_FIELDS = {"modelFormat", "runtime", "runtimeVersion", "protocolVersion", "storageUri"}
_SCALING_FIELDS = {"minReplicas", "maxReplicas", "scaleTarget", "scaleMetric", "timeout"}
_SCALING_FIELDS |= {"containerConcurrency", "canaryTrafficPercent"}


def test_inference_service() -> None:
    assert (ISVC["apiVersion"], ISVC["kind"]) == ("serving.kserve.io/v1beta1", "InferenceService")
    assert ISVC["spec"].keys() == {"predictor"}
    model = PREDICTOR["model"]
    assert model["modelFormat"].keys() <= {"name", "version"}
    assert model["storageUri"].startswith(("pvc://", "s3://", "gs://"))
    container = {k: v for k, v in model.items() if k not in _MODEL_FIELDS}
    rest = {k: v for k, v in PREDICTOR.items() if k not in ("model", *_SCALING_FIELDS)}
    whole = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "it"},
        "spec": {**rest, "containers": [{"name": "kserve-container", **container}]},
    }
    kubernetes_validate.validate(whole, VERSIONS[-1], strict=True)
    scaler = one("HorizontalPodAutoscaler")["spec"]
    for key in ("minReplicas", "maxReplicas"):
        assert PREDICTOR[key] == scaler[key]
