import json
from pathlib import Path
from typing import Any

import pytest

from core.models.backbone_weights import BackboneWeights
from core.training.options import TrainerOptions
from pipeline.config_file import shipped
from pipeline.kubeflow.compile import COMMAND, as_text, platform_spec, run_context
from pipeline.kubeflow.options import Target
from pipeline.kubeflow.runtime_parameters import PARAMETERS, apply_parameters
from pipeline.kubeflow.validate import check, load_with_kfp
from schema.errors import PneumoError
from tests.pipeline.kubeflow.compiled import (
    IMAGE,
    config_of,
    container_of,
    job_of,
    properties_of,
    spec_of,
)

# Everything that a graph can have beside what is shipped.
FULL = (
    "tuner={}",
    "training.fine_tune={}",
    "batch.records=gs://bucket/batch",
    "serving.infra_validation=endpoint",
    "evaluation.corruptions={images: 100}",
)


@pytest.mark.parametrize("name", sorted(shipped()))
def test_every_shipped_configuration_compiles(name: str) -> None:
    spec = spec_of(name)
    check(spec)
    assert spec["pipelineInfo"]["name"] == f"pneumo-{name}"
    assert spec["defaultPipelineRoot"] == "gs://bucket/runs"
    assert load_with_kfp(as_text(spec, "kubeflow")) == f"pneumo-{name}"


def test_the_client_of_vertex_loads_a_job(tmp_path: Path) -> None:
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import aiplatform

    job = job_of("demo", target="vertex")
    (tmp_path / "job.json").write_text(as_text(job, "vertex"))
    loaded = aiplatform.PipelineJob(
        display_name="check",
        template_path=str(tmp_path / "job.json"),
        project="p",
        parameter_values={"epochs": 2},
        location="europe-west4",
        credentials=AnonymousCredentials(),
    ).to_dict()
    assert loaded["runtimeConfig"]["gcsOutputDirectory"] == "gs://bucket/runs"
    assert loaded["runtimeConfig"]["parameterValues"] == {"epochs": 2.0}
    assert loaded["pipelineSpec"] == job["pipelineSpec"]


@pytest.mark.parametrize("target", ["kubeflow", "vertex"])
def test_the_fullest_graph(target: Target) -> None:
    spec = spec_of("demo", *FULL, target=target)
    check(spec)
    assert spec["root"]["dag"]["tasks"].keys() >= {
        "Tuner",
        "Trainer",
        "BatchExampleGen",
        "BulkInferrer",
        "BatchResults",
        "EndpointValidator",
        "StressTest",
        "latest-blessed-model",
        "Pusher",
        "Report",
        "ModelCard",
    }
    for task in spec["root"]["dag"]["tasks"]:
        container = container_of(spec, task)
        assert container["image"] == IMAGE
        assert container["command"] == COMMAND
        assert "{{$}}" in container["args"]


def test_training_from_images_has_no_embedder() -> None:
    spec = spec_of("demo", "training.fine_tune.source=images")
    check(spec)
    assert "Embedder" not in spec["root"]["dag"]["tasks"]


def test_weights_of_members_are_resolved_by_the_trainer() -> None:
    members = "model.members=[{backbone: VGG16}, {backbone: VGG19, weights: random}]"
    overrides = members, "training.fine_tune.source=images"
    spec = spec_of("demo", *overrides)
    check(spec)
    given = apply_parameters(
        "Trainer", properties_of(spec, "Trainer", {"weights": "gs://bucket/weights"})
    )
    options = TrainerOptions.from_json(given["custom_config"])
    assert options.weights.file == "gs://bucket/weights"
    assert [one.file for one in options.member_weights] == ["", "random"]


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [("auto", "savedmodel"), ("docker", "savedmodel"), ("endpoint", "endpoint"), ("none", "none")],
)
def test_no_infra_validator_of_tfx(wanted: str, chosen: str) -> None:
    config = config_of("demo", f"serving.infra_validation={wanted}")
    assert run_context(config, "gs://bucket/runs").infra_validation == chosen


def test_the_container_reads_the_types_that_the_spec_has() -> None:
    """TFX reads its inputs by a copy of their definitions in the arguments."""
    spec = spec_of("demo", *FULL)
    for name, component in spec["components"].items():
        arguments = container_of(spec, name)["args"]
        input_spec = json.loads(
            arguments[arguments.index("--json_serialized_inputs_spec_args") + 1]
        )
        assert input_spec == component.get("inputDefinitions", {})
    driver = container_of(spec, "ImportExampleGen")["lifecycle"]["preCacheCheck"]["args"]
    input_spec = json.loads(driver[driver.index("--json_serialized_inputs_spec_args") + 1])
    assert input_spec["parameters"]["input_base"]["parameterType"] == "STRING"


def test_parameters_reach_the_components() -> None:
    spec = spec_of("demo", *FULL)
    values = {
        "data": "s3://other/records",
        "weights": "random",
        "epochs": 3.0,  # as a number comes out of JSON
        "fine_tune_epochs": 7.0,
        "threshold": 0.3,
        "gate_auc": 0.7,
    }
    assert spec["root"]["inputDefinitions"]["parameters"].keys() == values.keys()
    seen: dict[str, dict[str, Any]] = {}
    for task in spec["root"]["dag"]["tasks"]:
        given = properties_of(spec, task, values)
        by_class = apply_parameters(container_of(spec, task)["args"][1], given)
        assert by_class == apply_parameters(task, given)
        assert not any(key.startswith("pneumo_") for key in by_class)
        seen[task] = by_class
    training = json.loads(seen["Trainer"]["custom_config"])
    assert training["training"]["epochs"] == 3
    assert isinstance(training["training"]["epochs"], int)
    assert training["training"]["fine_tune"]["epochs"] == 7
    assert training["evaluation"]["operating_point"]["threshold"] == 0.3
    assert training["records"] == "s3://other/records"
    assert training["weights"]["file"] == training["model"]["weights"] == "random"
    assert json.loads(seen["Embedder"]["options"])["weights"]["file"] == "random"
    assert json.loads(seen["Gate"]["options"])["gate"]["auc"]["min"] == 0.7
    assert seen["ImportExampleGen"]["input_base"] == "s3://other/records"
    assert seen["BatchExampleGen"]["input_base"] == "gs://bucket/batch"
    assert seen["Report"]["records"] == seen["ModelCard"]["records"] == "s3://other/records"
    assert json.loads(seen["Tuner"]["custom_config"])["training"]["epochs"] == 3


def test_the_evaluator_and_the_page_agree_with_the_parameters() -> None:
    """What is shown is what was run: the same as a configuration that says so from the start."""
    values = {"threshold": 0.3, "gate_auc": 0.7, "epochs": 3, "weights": "random"}
    written = config_of(
        "demo",
        "evaluation.operating_point.threshold=0.3",
        "evaluation.gate.auc.min=0.7",
        "training.epochs=3",
        "model.weights=random",
    )
    spec, direct = (
        spec_of("demo"),
        spec_of(
            "demo",
            "evaluation.operating_point.threshold=0.3",
            "evaluation.gate.auc.min=0.7",
            "training.epochs=3",
            "model.weights=random",
        ),
    )
    for task in ("Evaluator", "Report", "Gate", "Trainer", "Embedder", "ModelCard"):
        found = apply_parameters(task, properties_of(spec, task, values))
        for key, value in apply_parameters(task, properties_of(direct, task, {})).items():
            if key == "config":
                assert found[key] == written.to_yaml()
            elif isinstance(value, str) and value.startswith("{"):
                assert json.loads(found[key]) == json.loads(value), (task, key)
            else:
                assert found[key] == value, (task, key)


@pytest.mark.parametrize(
    ("name", "override", "there"),
    [
        ("demo", "name=demo", {"threshold", "gate_auc"}),
        ("demo", "evaluation.operating_point.rule=sensitivity", {"sensitivity", "gate_auc"}),
        ("demo", "evaluation.operating_point.rule=specificity", {"specificity", "gate_auc"}),
        ("demo", "evaluation.operating_point.rule=youden", {"gate_auc"}),
        ("demo", "evaluation.gate={accuracy: {min: 0.5}}", {"threshold"}),
        ("locate", "name=locate", {"detector_epochs", "threshold", "gate_auc"}),
    ],
)
def test_a_graph_has_the_parameters_that_mean_something(
    name: str, override: str, there: set[str]
) -> None:
    config = config_of(name, override)
    found = {name for name, of in PARAMETERS.items() if of.default(config) is not None}
    assert found - {"data", "weights", "epochs"} == there


def test_a_parameter_has_the_default_of_the_configuration() -> None:
    inputs = spec_of("demo")["root"]["inputDefinitions"]["parameters"]
    assert inputs.keys() == {"data", "weights", "epochs", "threshold", "gate_auc"}
    assert all(of["isOptional"] for of in inputs.values())
    assert inputs["epochs"]["defaultValue"] == config_of("demo").training.epochs
    data = spec_of("demo", "deploy.data=null")["root"]["inputDefinitions"]["parameters"]["data"]
    assert not data.keys() & {"defaultValue", "isOptional"}  # must be given


def test_the_schema_is_named_by_its_place_in_the_package() -> None:
    spec = spec_of("demo")
    given = properties_of(spec, "ImportSchemaGen", {})
    assert given["schema_file"] == "package://schema/schema.pbtxt"
    here = apply_parameters("ImportSchemaGen", given)["schema_file"]
    assert here.endswith("/schema/schema.pbtxt")
    assert "feature" in Path(here).read_text()


def test_no_path_of_this_machine_is_left() -> None:
    home = str(Path(__file__).parents[3])
    for target in ("kubeflow", "vertex"):
        assert home not in json.dumps(job_of("demo", *FULL, target=target))


def test_facts_are_not_made_up() -> None:
    run = run_context(config_of("demo"), "gs://bucket/runs")
    assert run.synthetic is None
    assert run.records_sha256 == ""
    assert run.weights == BackboneWeights("deferred", file="imagenet", reason="random")
    assert run.push_to == "gs://bucket/runs/serving"
    assert run.checkpoints == "gs://bucket/runs/checkpoints"
    assert run.baseline == "pushed"


def test_a_batch_on_this_machine_is_refused() -> None:
    with pytest.raises(PneumoError, match=r"batch\.records: /here"):
        run_context(config_of("demo", "batch.records=/here"), "gs://bucket/runs")


def test_the_platform_document() -> None:
    config = config_of(
        "demo",
        "deploy.secret=store",
        "deploy.resources.Trainer.gpu=1",
        "deploy.resources.Trainer.gpu_type=Tesla-T4",
    )
    spec = spec_of("demo")
    assert platform_spec(config_of("demo"), spec) is None
    platform = platform_spec(config, spec)
    assert platform is not None
    executors = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert executors.keys() == spec["deploymentSpec"]["executors"].keys()
    labels = executors["Trainer_executor"]["nodeSelector"]["labels"]
    assert labels == {"nvidia.com/gpu.product": "Tesla-T4"}
    assert "nodeSelector" not in executors["Gate_executor"]
    assert executors["Gate_executor"]["secretAsEnv"][0]["secretName"] == "store"
    assert load_with_kfp(as_text(spec, "kubeflow", platform)) == "pneumo-demo"


def test_environment_and_engine_reach_every_container() -> None:
    spec = spec_of(
        "demo",
        "deploy.env={AWS_ENDPOINT_URL: 'http://minio:9000'}",
        "engine=processes",
    )
    check(spec)
    engine = "--direct_num_workers=4"  # the processors of Transform
    for task in spec["root"]["dag"]["tasks"]:
        container = container_of(spec, task)
        assert container["env"] == [{"name": "AWS_ENDPOINT_URL", "value": "http://minio:9000"}]
        if task in ("ImportExampleGen", "StatisticsGen", "Transform", "Evaluator"):
            assert engine in container["args"]


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        (["engine=flink", "beam.image=i"], "set beam.flink_master or beam.job_endpoint"),
        (["engine=dataflow"], "beam.project"),
    ],
)
def test_an_engine_without_address_is_refused(overrides: list[str], line: str) -> None:
    with pytest.raises(PneumoError, match=line):
        run_context(config_of("demo", *overrides), "gs://bucket/runs")
