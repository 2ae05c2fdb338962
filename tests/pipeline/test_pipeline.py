"""The graph: which splits each node reads, and which code each node's cache key covers."""

import ast
import functools
import json
from pathlib import Path
from typing import Any

import pytest

from core.models.backbone_weights import BackboneWeights
from pipeline.code_keys import PROCESSES, ROOT, CodeGraph, module_files, node_files, node_modules
from pipeline.config_file import load_config
from pipeline.node_options import evaluation_options
from pipeline.run_context import RunContext

# Node -> modules of this project that it starts in; the standard nodes run no code of ours.
STARTS = {
    "ImportExampleGen": set(),
    "ImportSchemaGen": set(),
    "StatisticsGen": set(),
    "ExampleValidator": set(),
    "AnomalyGate": {"components.anomaly_gate.component"},
    "Transform": {"components.transform.preprocessing"},
    "Embedder": {"components.embedder.component"},
    "Tuner": {"components.trainer.tuner_fn"},
    "Trainer": {"components.trainer.run_fn"},
    "latest_blessed_model": {"components.baseline.component"},
    "Evaluator": set(),
    "Scorer": {"components.scorer.component"},
    "StressTest": {"components.stress_test.component"},
    "Gate": {"components.gate.component"},
    "EndpointValidator": {"components.endpoint_validator.component"},
    "Pusher": {"components.pusher.executor"},
    "BatchExampleGen": set(),
    "BulkInferrer": set(),
    "BatchResults": {"components.batch_results.component"},
    "Report": {"components.report.component"},
    "ModelCard": {"components.model_card.executor"},
}
OURS = [node for node, modules in STARTS.items() if modules]


def graph(**changes: Any) -> dict[str, Any]:
    """Every node that a configuration can ask for, by its id."""
    import tfx.v1  # noqa: F401  before TFDV, which fails when it is imported first

    from pipeline.pipeline import create_pipeline

    run = RunContext(
        records="/records",
        records_sha256="1",
        synthetic=True,
        root="/root",
        push_to="/serving",
        checkpoints="/checkpoints",
        weights=BackboneWeights("random"),
        infra_validation="endpoint",
        batch_records="/batch",
        baseline="pushed",
        **changes,
    )
    config = load_config("xception", ["tuner={}", "evaluation.corruptions={}"])
    return {node.id: node for node in create_pipeline(config, run).components}


@pytest.fixture(scope="module")
def nodes() -> dict[str, Any]:
    return graph()


@pytest.fixture(scope="module")
def code() -> CodeGraph:
    return CodeGraph.from_project()


def test_the_whole_graph(nodes: dict[str, Any], code: CodeGraph) -> None:
    assert {name: node_modules(node, code) for name, node in nodes.items()} == STARTS


def test_training_reads_train_and_val_and_the_measures_are_taken_on_test(
    nodes: dict[str, Any],
) -> None:
    def execution_property(node: str, key: str) -> Any:
        return json.loads(nodes[node].exec_properties[key])

    assert execution_property("ImportExampleGen", "input_config")["splits"] == [
        {"name": split, "pattern": f"{split}-*.tfrecord"} for split in ("train", "val", "test")
    ]
    splits = execution_property("Transform", "splits_config")
    assert (splits["analyze"], splits["transform"]) == (["train"], ["train", "val"])
    for node in ("Trainer", "Tuner"):
        assert execution_property(node, "train_args")["splits"] == ["train"]
        assert execution_property(node, "eval_args")["splits"] == ["val"]
    assert execution_property("Evaluator", "example_splits") == ["test"]
    assert nodes["Scorer"].exec_properties["split"] == "test"


def test_validation_only_leaves_out_what_reads_the_test_split(nodes: dict[str, Any]) -> None:
    fewer = graph(validation_only=True)
    left_out = nodes.keys() - fewer.keys()
    assert {"Evaluator", "Scorer", "Gate", "Pusher", "Report", "ModelCard"} <= left_out
    assert {"Trainer", "StressTest", "Embedder"} <= fewer.keys() <= nodes.keys()
    for name, node in fewer.items():  # finished nodes are found in the cache later
        assert node.exec_properties == nodes[name].exec_properties


def test_the_stress_test_does_not_change_the_cache_keys_of_trainer_and_gate() -> None:
    plain, stressed = (
        load_config("xception", overrides)
        for overrides in ([], ["evaluation.corruptions={images: 9}"])
    )
    assert plain.evaluation != stressed.evaluation
    assert evaluation_options(plain) == evaluation_options(stressed)


def test_the_gate_stands_before_the_push_and_the_anomalies_before_transform(
    nodes: dict[str, Any],
) -> None:
    assert nodes["AnomalyGate"] in nodes["Transform"].upstream_nodes
    inputs = nodes["Pusher"].inputs
    assert inputs["model_blessing"].producer_component_id == "Gate"
    assert inputs["infra_blessing"].producer_component_id == "EndpointValidator"


@functools.cache
def needs(module: str) -> frozenset[str]:
    """What a module imports, read from its syntax tree: not by the library that is tested."""
    path = ROOT.joinpath(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    tree = ast.parse(path.read_text())
    for part in [part for part in ast.walk(tree) if isinstance(part, ast.If)]:
        if getattr(part.test, "id", "") == "TYPE_CHECKING":
            part.body = []
    found = set()
    for part in ast.walk(tree):
        if isinstance(part, ast.Import):
            found |= {name.name for name in part.names}
        elif isinstance(part, ast.ImportFrom):
            found |= {f"{part.module}.{name.name}" for name in part.names}
            found.add(str(part.module))
    started = PROCESSES.get(module, frozenset())
    return frozenset(found | started | {module.rpartition(".")[0]})


def reached(modules: set[str], known: set[str]) -> set[str]:
    found: set[str] = set()
    left = set(modules)
    while left:
        found |= left
        left = (set().union(*(needs(module) for module in left)) & known) - found
    # A package that is only the way to a module of it is loaded all the same.
    return found


@pytest.mark.parametrize("node", OURS)
def test_a_key_follows_the_modules_that_the_executor_reaches_and_no_other(
    node: str, nodes: dict[str, Any], code: CodeGraph
) -> None:
    read = functools.cache(Path.read_bytes)
    key = nodes[node].exec_properties["code"]
    assert CodeGraph(code.imports, read).key(STARTS[node]) == key
    changes = set()
    for module in code.imports:
        edited = module_files(module) & {
            ROOT.joinpath(*module.split(".")).with_suffix(".py"),
            ROOT.joinpath(*module.split("."), "__init__.py"),
        }
        again = CodeGraph(
            code.imports, lambda file, edited=edited: read(file) + b"#" * (file in edited)
        )
        if again.key(STARTS[node]) != key:
            changes.add(module)
    assert changes == reached(STARTS[node], set(code.imports))


@pytest.mark.parametrize(
    ("node", "module", "reaches"),
    [
        ("Trainer", "core.images.validate_tf", True),
        ("Trainer", "serving.export.display_coordinates", True),
        ("Trainer", "serving.export.warmup", True),
        ("Trainer", "core.models.fold_batch_norm", True),
        ("Trainer", "schema.labels", True),
        ("Trainer", "core.images.decode_tf", True),
        ("Trainer", "core.reporting.report.page", False),
        ("Trainer", "pipeline.pipeline", False),
        ("Transform", "components.trainer.run_fn", False),
        ("Gate", "core.metrics.bootstrap", True),
        ("Gate", "core.images.validate_tf", False),
    ],
)
def test_what_a_node_depends_on(node: str, module: str, reaches: bool, code: CodeGraph) -> None:
    assert (module in code.reachable(STARTS[node])) is reaches


@pytest.mark.parametrize("node", [name for name, modules in STARTS.items() if not modules])
def test_a_node_without_code_of_this_project_has_no_key(node: str, nodes: dict[str, Any]) -> None:
    wanted = {ROOT / "schema" / "schema.pbtxt"} if node == "ImportSchemaGen" else set()
    assert node_files(nodes[node]) == wanted
    assert ("code" in nodes[node].exec_properties) is bool(wanted)


@pytest.mark.parametrize(
    ("node", "pattern"),
    [("ImportSchemaGen", "schema/schema.pbtxt"), ("Report", "core/reporting/templates/*.j2")],
)
def test_a_key_follows_the_files_of_the_package(
    node: str, pattern: str, nodes: dict[str, Any], code: CodeGraph
) -> None:
    for edited in ROOT.glob(pattern):
        again = CodeGraph(
            code.imports, lambda file, edited=edited: file.read_bytes() + b" " * (file == edited)
        )
        key = again.key(STARTS[node], node_files(nodes[node]))
        assert key != nodes[node].exec_properties["code"]


def test_the_key_follows_the_name_of_a_file(code: CodeGraph) -> None:
    same = CodeGraph(code.imports, lambda _: b"")
    assert same.key(["schema.errors"]) != same.key(["schema.ports"])


def test_processes_that_a_node_starts_are_part_of_its_key(code: CodeGraph) -> None:
    dispatchers = {"pipeline.cli"}  # loads its commands by name; PROCESSES holds the command
    for module in code.reachable(set().union(*STARTS.values())):
        for file in module_files(module):
            if file.suffix == ".py":
                text = {
                    n.value
                    for n in ast.walk(ast.parse(file.read_text()))
                    if isinstance(n, ast.Constant) and isinstance(n.value, str)
                }
                named = {name for name in text & set(code.imports) if "." in name} - dispatchers
                assert named <= code.imports[module] | {module}, f"add it to PROCESSES: {module}"
    assert set().union(*PROCESSES.values(), PROCESSES) <= set(code.imports)
