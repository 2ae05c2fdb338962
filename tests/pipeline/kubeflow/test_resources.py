import pytest

from pipeline.kubeflow.options import DeployOptions, Resources, Target
from pipeline.kubeflow.resources import (
    DEFAULTS,
    cached,
    check_nodes,
    container_resources,
    node_resources,
    retry_policy,
)
from schema.errors import PneumoError
from tests.pipeline.kubeflow.compiled import container_of, spec_of

ASKED = (
    "deploy.resources.Trainer={cpu: 12, memory_gib: 64, gpu: 2, gpu_type: NVIDIA_TESLA_T4}",
    "deploy.resources.Gate={cpu: 0.5, memory_gib: 2}",
    "deploy.resources.default={cpu: 3}",
    "deploy.retries=4",
    "deploy.retries_of={Trainer: 0}",
    "deploy.caching_of={Trainer: false}",
)


@pytest.mark.parametrize("target", ["kubeflow", "vertex"])
def test_what_was_asked_is_in_the_spec(target: Target) -> None:
    spec = spec_of("demo", *ASKED, target=target)
    tasks = spec["root"]["dag"]["tasks"]
    trainer = container_of(spec, "Trainer")["resources"]
    assert trainer["cpuLimit"] == 12
    assert trainer["memoryLimit"] == pytest.approx(64 * 2**30 / 1e9)
    assert trainer["accelerator"]["count"] == "2"
    gpu = "NVIDIA_TESLA_T4" if target == "vertex" else "nvidia.com/gpu"
    assert trainer["accelerator"]["type"] == gpu
    assert (trainer.get("resourceMemoryLimit") == "64Gi") is (target == "kubeflow")
    assert container_of(spec, "Gate")["resources"]["cpuLimit"] == 0.5
    # `default` goes before our own defaults, and leaves what it does not say.
    example_gen = container_of(spec, "ImportExampleGen")["resources"]
    assert example_gen["cpuLimit"] == 3
    assert example_gen["memoryLimit"] == pytest.approx(8 * 2**30 / 1e9)
    assert "accelerator" not in example_gen
    assert tasks["Gate"]["retryPolicy"]["maxRetryCount"] == 4
    assert "retryPolicy" not in tasks["Trainer"]
    assert "retryPolicy" in tasks["Pusher"]
    assert tasks["Trainer"]["cachingOptions"] == {}
    assert tasks["Transform"]["cachingOptions"] == {"enableCache": True}
    assert tasks["Pusher"]["cachingOptions"] == {}
    assert tasks["latest-blessed-model"]["cachingOptions"] == {}


@pytest.mark.parametrize(
    ("node", "target", "wanted"),
    [
        ("latest_blessed_model", "kubeflow", False),
        ("latest_blessed_model", "vertex", False),
        ("Pusher", "vertex", False),
        ("ImportExampleGen", "kubeflow", False),
        ("ImportExampleGen", "vertex", True),
        ("BatchExampleGen", "kubeflow", False),
        ("Trainer", "kubeflow", True),
    ],
)
def test_what_may_be_cached(node: str, target: Target, wanted: bool) -> None:
    assert cached(node, DeployOptions(), target) is wanted
    assert not cached(node, DeployOptions(caching=False), target)
    assert cached("ImportExampleGen", DeployOptions(caching_of={"ImportExampleGen": True}), target)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"resources": {"Trainr": {"cpu": 1}}}, "deploy.resources.Trainr: the graph has no such"),
        ({"retries_of": {"trainer": 1}}, "deploy.retries_of.trainer"),
        ({"caching_of": {"x": True}}, "deploy.caching_of.x"),
        (
            {"caching_of": {"Pusher": True}},
            "deploy.caching_of.Pusher: its output depends on the pushed models",
        ),
        (
            {"caching_of": {"latest_blessed_model": True}},
            "latest_blessed_model: its output depends",
        ),
    ],
)
def test_wrong_nodes_are_one_line(options: dict[str, object], line: str) -> None:
    given = DeployOptions.model_validate(options)
    with pytest.raises(PneumoError) as raised:
        check_nodes(given, ["Trainer", "Pusher", "latest_blessed_model"])
    assert line in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_node_that_this_graph_leaves_out_may_be_named() -> None:
    check_nodes(DeployOptions(resources={"Tuner": Resources(cpu=1)}), ["Trainer"])


@pytest.mark.parametrize(
    ("layers", "wanted"),
    [
        ({}, DEFAULTS["Trainer"]),
        (
            {"default": {"gpu": 1, "gpu_type": "A"}},
            {"cpu": 8, "memory_gib": 32, "gpu": 1, "gpu_type": "A"},
        ),
        (
            {"default": {"gpu": 1, "gpu_type": "A"}, "Trainer": {"gpu": 0}},
            {"cpu": 8, "memory_gib": 32, "gpu": 0},
        ),
        ({"Trainer": {"cpu": 1}}, {"cpu": 1, "memory_gib": 32}),
    ],
)
def test_layers(layers: dict[str, object], wanted: Resources | dict[str, object]) -> None:
    options = DeployOptions.model_validate({"resources": layers})
    given = wanted if isinstance(wanted, Resources) else Resources.model_validate(wanted)
    assert node_resources("Trainer", options) == given


def test_vertex_has_to_know_which_gpu() -> None:
    with pytest.raises(PneumoError, match=r"deploy\.resources\.Trainer.*gpu_type"):
        container_resources("Trainer", Resources(cpu=1, memory_gib=1, gpu=1), "vertex")
    kubeflow = container_resources("Trainer", Resources(cpu=1, memory_gib=1, gpu=1), "kubeflow")
    assert kubeflow["accelerator"]["type"] == "nvidia.com/gpu"


def test_an_anomaly_is_there_the_next_time() -> None:
    assert retry_policy("AnomalyGate", DeployOptions()) is None
    assert retry_policy("Trainer", DeployOptions(retries=0)) is None
    policy = retry_policy("Trainer", DeployOptions(retries=3))
    assert policy is not None
    assert policy["maxRetryCount"] == 3


@pytest.mark.parametrize(
    "wrong",
    [
        {"resources": {"Trainer": {"cpu": 0}}},
        {"resources": {"Trainer": {"gpu": -1}}},
        {"resources": {"Trainer": {"gpu_type": "A"}}},
        {"resources": {"Trainer": {"cpus": 1}}},
        {"retries": 11},
        {"retries_of": {"Trainer": -1}},
        {"imag": "x"},
    ],
)
def test_wrong_options(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        DeployOptions.model_validate(wrong)
