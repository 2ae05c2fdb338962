"""Text protos, the compose file and the alert rules."""

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from google.protobuf import text_format

from serving.export.warmup import BATCHES

DEPLOY = Path(__file__).parents[3] / "serving" / "deploy"
# Fields of TensorFlow Serving's session_bundle_config.proto that hold a number in a wrapper.
_BATCHING = {
    *("max_batch_size", "batch_timeout_micros", "max_enqueued_batches", "num_batch_threads"),
    *("thread_pool_name", "enable_large_batch_splitting", "max_execution_batch_size"),
}


def test_models() -> None:
    from tensorflow_serving.config import model_server_config_pb2

    config = model_server_config_pb2.ModelServerConfig()
    text_format.Parse((DEPLOY / "models.config").read_text(), config)
    (model,) = config.model_config_list.config
    assert (model.name, model.model_platform) == ("pneumo", "tensorflow")
    assert model.model_version_policy.latest.num_versions == 1


def test_batching() -> None:
    text = re.sub(r"#.*", "", (DEPLOY / "batching.config").read_text())
    sizes = [int(size) for size in re.findall(r"allowed_batch_sizes: (\d+)", text)]
    values = dict(re.findall(r"(\w+) \{ value: (\w+|\"\w+\") \}", text))
    assert len(sizes) + len(values) == len([line for line in text.splitlines() if line])
    assert values.keys() <= _BATCHING
    # What the server itself demands of these figures.
    assert sizes == sorted(set(sizes))
    assert sizes[-1] == int(values["max_execution_batch_size"])
    assert int(values["max_batch_size"]) >= sizes[-1]
    # Every size that is computed has been warmed up, or lies between two that have.
    assert set(BATCHES) <= set(sizes)
    assert (min(sizes), max(sizes)) == (min(BATCHES), max(BATCHES))


def test_monitoring() -> None:
    text = (DEPLOY / "monitoring.config").read_text()
    match = re.search(r'prometheus_config \{\s*enable: true,?\s*path: "([^"]+)"\s*\}', text)
    assert match is not None
    manifest = (DEPLOY / "kubernetes" / "deployment.yaml").read_text()
    assert f"prometheus.io/path: {match[1]}" in manifest


def compose() -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / "docker-compose.yaml").read_text())


def compose_schema() -> dict[str, Any]:
    """The specification's own schema, as check-jsonschema brings it."""
    spec = importlib.util.find_spec("check_jsonschema")
    assert spec is not None and spec.origin is not None
    folder = Path(spec.origin).parent / "builtin_schemas" / "vendor"
    return json.loads((folder / "compose-spec.json").read_text())


def test_compose_file_is_valid() -> None:
    jsonschema.validate(compose(), compose_schema())


@pytest.mark.parametrize(
    ("key", "value"),
    [("port", ["8501"]), ("read_only", {"yes": 1}), ("volumes", [{"source": "."}])],
)
def test_invalid_compose_files_are_detected(key: str, value: Any) -> None:
    broken = compose()
    broken["services"]["pneumo"][key] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, compose_schema())


def test_compose_is_local_and_read_only() -> None:
    service = compose()["services"]["pneumo"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert service["read_only"] is True
    assert all(volume["read_only"] for volume in service["volumes"])
    assert service["cap_drop"] == ["ALL"]
    assert int(service["user"].split(":")[0]) > 0
    files = {x.split("=/config/")[1] for x in service["command"] if "=/config/" in x}
    assert all((DEPLOY / name).is_file() for name in files)
    assert len(files) == 3


RULES = yaml.safe_load((DEPLOY / "prometheus-alerts.yaml").read_text())
ALERTS = {rule["alert"]: rule for group in RULES["groups"] for rule in group["rules"]}
_KEYWORDS = {
    "sum",
    "rate",
    "by",
    "le",
    "and",
    "or",
    "abs",
    "max",
    "count",
    "count_values",
    "increase",
    "histogram_quantile",
    "absent",
    "time",
    "offset",
    "number",
    "w",
    "d",
    "h",
    "m",
    "protocol",
    "version",
    "instance",
}


@pytest.mark.parametrize("name", ALERTS)
def test_rules_are_complete(name: str) -> None:
    rule = ALERTS[name]
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    assert {"summary", "action"} == set(rule["annotations"])
    assert re.fullmatch(r"\d+[smhd]", rule.get("for", "1m"))
    for left, right in ("()", "{}", "[]"):
        assert rule["expr"].count(left) == rule["expr"].count(right)


@pytest.mark.parametrize("name", ALERTS)
def test_rules_use_existing_metrics(name: str) -> None:
    from serving.server.metrics import ServerMetrics

    known = set(re.findall(r"pneumo_\w+|process_\w+", ServerMetrics.__doc__ or ""))
    known |= {"pneumo_request_seconds_bucket", "process_resident_memory_bytes", "up"}
    known |= {"pneumo_monitor_exit_status", "pneumo_monitor_finished_seconds"}  # of the README
    text = re.sub(r"\{[^}]*\}|\"[^\"]*\"|\[[^\]]*\]", " ", ALERTS[name]["expr"])
    words = set(re.findall(r"[a-z_]{2,}", text)) - _KEYWORDS
    assert words <= known
    written = (DEPLOY / "README.md").read_text()
    for word in words & {"pneumo_monitor_exit_status", "pneumo_monitor_finished_seconds"}:
        assert word in written


def test_rules_use_status_codes_of_the_server() -> None:
    sources = (DEPLOY.parent / "server").rglob("*.py")
    used = {code for file in sources for code in re.findall(r"StatusCode\.(\w+)", file.read_text())}
    codes = {
        name: set(re.findall(r'code=~?"([^"]+)"', rule["expr"])) for name, rule in ALERTS.items()
    }
    assert {code for all_of in codes.values() for one in all_of for code in one.split("|")} <= used
    assert codes["PneumoOverloaded"] == {"UNAVAILABLE"}  # of --max-requests, see test_endpoint.py


def test_rules_have_a_comment() -> None:
    text = (DEPLOY / "prometheus-alerts.yaml").read_text()
    for name in ALERTS:
        before = text.split(f"- alert: {name}\n")[0].rstrip().splitlines()[-1]
        assert before.strip().startswith("#"), name
