"""Text protos, the compose file and the alert rules."""

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    message_factory,
    text_format,
    wrappers_pb2,
)

from serving.warmup import BATCHES

DEPLOY = Path(__file__).parents[3] / "serving" / "deploy"
_F = descriptor_pb2.FieldDescriptorProto
_BATCHING = {
    "max_batch_size": "Int64Value",
    "batch_timeout_micros": "Int64Value",
    "max_enqueued_batches": "Int64Value",
    "num_batch_threads": "Int64Value",
    "thread_pool_name": "StringValue",
    "allowed_batch_sizes": _F.TYPE_INT64,
    "pad_variable_length_inputs": _F.TYPE_BOOL,
    "enable_large_batch_splitting": "BoolValue",
    "max_execution_batch_size": "Int64Value",
}


def message(file: str) -> Any:
    """A message of TensorFlow Serving that its client package lacks, by the published fields.

    Text format knows names and types; the numbers of the fields are of no account here.
    """
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    made = descriptor_pb2.FileDescriptorProto(
        name="it.proto",
        package="it",
        syntax="proto3",
        dependency=["google/protobuf/wrappers.proto"],
    )
    if file == "batching":
        top = made.message_type.add(name="BatchingParameters")
        for number, (name, kind) in enumerate(_BATCHING.items(), 1):
            field = top.field.add(name=name, number=number, label=_F.LABEL_OPTIONAL)
            if isinstance(kind, str):
                field.type, field.type_name = _F.TYPE_MESSAGE, f".google.protobuf.{kind}"
            else:
                field.type = kind
            if name == "allowed_batch_sizes":
                field.label = _F.LABEL_REPEATED
    else:
        inner = made.message_type.add(name="PrometheusConfig")
        inner.field.add(name="enable", number=1, label=_F.LABEL_OPTIONAL, type=_F.TYPE_BOOL)
        inner.field.add(name="path", number=2, label=_F.LABEL_OPTIONAL, type=_F.TYPE_STRING)
        top = made.message_type.add(name="MonitoringConfig")
        top.field.add(
            name="prometheus_config", number=1, label=_F.LABEL_OPTIONAL, type=_F.TYPE_MESSAGE,
            type_name=".it.PrometheusConfig",
        )  # fmt: skip
    pool.Add(made)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"it.{top.name}"))()


def parsed(name: str, into: Any) -> Any:
    return text_format.Parse((DEPLOY / name).read_text(), into)


def test_models() -> None:
    from tensorflow_serving.config import model_server_config_pb2

    found = parsed("models.config", model_server_config_pb2.ModelServerConfig())
    (model,) = found.model_config_list.config
    assert (model.name, model.model_platform) == ("pneumo", "tensorflow")
    assert model.model_version_policy.latest.num_versions == 1


def test_batching() -> None:
    found = parsed("batching.config", message("batching"))
    sizes = list(found.allowed_batch_sizes)
    # What the server itself demands of these figures.
    assert sizes == sorted(set(sizes))
    assert sizes[-1] == found.max_execution_batch_size.value
    assert found.max_batch_size.value >= found.max_execution_batch_size.value
    # Every size that is computed has been warmed up, or lies between two that have.
    assert set(BATCHES) <= set(sizes)
    assert (min(sizes), max(sizes)) == (min(BATCHES), max(BATCHES))


def test_monitoring() -> None:
    found = parsed("monitoring.config", message("monitoring"))
    assert found.prometheus_config.enable
    manifest = (DEPLOY / "kubernetes" / "deployment.yaml").read_text()
    assert f"prometheus.io/path: {found.prometheus_config.path}" in manifest


@pytest.mark.parametrize("text", ["max_batch_size: 3", "max_batchsize { value: 3 }", "x"])
def test_a_wrong_text_is_refused(text: str) -> None:
    with pytest.raises(text_format.ParseError):
        text_format.Parse(text, message("batching"))


def compose() -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / "docker-compose.yaml").read_text())


def compose_schema() -> dict[str, Any]:
    """The specification's own schema, as check-jsonschema brings it."""
    spec = importlib.util.find_spec("check_jsonschema")
    assert spec is not None and spec.origin is not None
    folder = Path(spec.origin).parent / "builtin_schemas" / "vendor"
    return json.loads((folder / "compose-spec.json").read_text())


def test_compose_is_what_compose_accepts() -> None:
    jsonschema.validate(compose(), compose_schema())


@pytest.mark.parametrize(
    ("key", "value"),
    [("port", ["8501"]), ("read_only", {"yes": 1}), ("volumes", [{"source": "."}])],
)
def test_the_check_of_compose_can_fail(key: str, value: Any) -> None:
    broken = compose()
    broken["services"]["pneumo"][key] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, compose_schema())


def test_compose_is_for_this_machine_and_reads_only() -> None:
    service = compose()["services"]["pneumo"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert service["read_only"] is True
    assert all(volume["read_only"] for volume in service["volumes"])
    assert service["cap_drop"] == ["ALL"]
    assert int(service["user"].split(":")[0]) > 0
    files = {x.split("=/config/")[1] for x in service["command"] if "=/config/" in x}
    assert all((DEPLOY / name).is_file() for name in files)
    assert len(files) == 3


def test_the_commands_of_the_health_check_are_in_the_shell() -> None:
    (*shell, script) = compose()["services"]["pneumo"]["healthcheck"]["test"]
    assert shell == ["CMD", "bash", "-c"]
    assert "/dev/tcp/127.0.0.1/8501" in script


RULES = yaml.safe_load((DEPLOY / "prometheus-alerts.yaml").read_text())
ALERTS = {rule["alert"]: rule for group in RULES["groups"] for rule in group["rules"]}
_KEYWORDS = {
    "sum", "rate", "by", "le", "and", "or", "abs", "max", "count", "count_values", "increase",
    "histogram_quantile", "absent", "time", "offset", "number", "w", "d", "h", "m", "protocol",
    "version", "instance",
}  # fmt: skip


@pytest.mark.parametrize("name", ALERTS)
def test_a_rule_is_whole(name: str) -> None:
    rule = ALERTS[name]
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    assert {"summary", "action"} == set(rule["annotations"])
    assert re.fullmatch(r"\d+[smhd]", rule.get("for", "1m"))
    for left, right in ("()", "{}", "[]"):
        assert rule["expr"].count(left) == rule["expr"].count(right)


@pytest.mark.parametrize("name", ALERTS)
def test_a_rule_asks_for_numbers_that_exist(name: str) -> None:
    from serving.server.metrics import Metrics

    known = set(re.findall(r"pneumo_\w+|process_\w+", Metrics.__doc__ or ""))
    known |= {"pneumo_request_seconds_bucket", "process_resident_memory_bytes", "up"}
    known |= {"pneumo_monitor_exit_status", "pneumo_monitor_finished_seconds"}  # of the README
    text = re.sub(r"\{[^}]*\}|\"[^\"]*\"|\[[^\]]*\]", " ", ALERTS[name]["expr"])
    words = set(re.findall(r"[a-z_]{2,}", text)) - _KEYWORDS
    assert words <= known
    written = (DEPLOY / "README.md").read_text()
    for word in words & {"pneumo_monitor_exit_status", "pneumo_monitor_finished_seconds"}:
        assert word in written


def test_each_rule_says_why() -> None:
    text = (DEPLOY / "prometheus-alerts.yaml").read_text()
    for name in ALERTS:
        before = text.split(f"- alert: {name}\n")[0].rstrip().splitlines()[-1]
        assert before.strip().startswith("#"), name
