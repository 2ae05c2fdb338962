"""The graph of nodes, from records to a pushed model and its report."""

from typing import TYPE_CHECKING

from core.models.backbones import image_size
from pipeline.code_keys import ROOT, with_code_keys
from pipeline.config import Config
from pipeline.node_options import (
    embedder_options,
    evaluation_options,
    trainer_options,
    tuner_options,
)
from pipeline.run_context import RunContext

if TYPE_CHECKING:
    from tfx.v1 import dsl

# One name for all configurations of a work folder, so that they share cached nodes.
PIPELINE_NAME = "pneumo"
SCHEMA_FILE = ROOT / "schema" / "schema.pbtxt"


def create_pipeline(config: Config, run: RunContext) -> "dsl.Pipeline":
    """Builds the graph of one configuration.

    Args:
      config: the configuration.
      run: paths, weights and platform of the run.
    """
    import tensorflow_data_validation as tfdv
    import tfx.v1 as tfx
    from tfx.dsl.components.base import executor_spec

    from components.anomaly_gate.component import AnomalyGate
    from components.baseline.node import baseline_node
    from components.batch_results.nodes import batch_nodes
    from components.embedder.component import Embedder
    from components.endpoint_validator.choice import infra_validator
    from components.evaluator.eval_config import eval_config
    from components.gate.component import Gate
    from components.model_card.component import ModelCard
    from components.pusher.executor import AtomicPusherExecutor
    from components.report.component import Report
    from components.scorer.component import Scorer
    from components.stress_test.node import stress_test_node

    # Reads the TFRecord shards that `pneumo ingest` has split by patient.
    splits = [
        tfx.proto.Input.Split(name=split, pattern=f"{split}-*.tfrecord")
        for split in ("train", "val", "test")
    ]
    example_gen = tfx.components.ImportExampleGen(
        input_base=run.records, input_config=tfx.proto.Input(splits=splits)
    )

    # Loads the data contract, which is written by hand.
    schema = tfx.components.ImportSchemaGen(schema_file=str(SCHEMA_FILE))

    # Computes counts of classes and statistics of features and images.
    statistics = tfx.components.StatisticsGen(
        examples=example_gen.outputs["examples"],
        schema=schema.outputs["schema"],
        stats_options=tfdv.StatsOptions(enable_semantic_domain_stats=True),
    )

    # Compares every split with the schema.
    validator = tfx.components.ExampleValidator(
        statistics=statistics.outputs["statistics"], schema=schema.outputs["schema"]
    )

    # Stops the run if there are anomalies.
    anomaly_gate = AnomalyGate(anomalies=validator.outputs["anomalies"])

    # Decodes and resizes train and val, with the graph that serving uses too.
    transform = tfx.components.Transform(
        examples=example_gen.outputs["examples"],
        schema=schema.outputs["schema"],
        preprocessing_fn="components.transform.preprocessing.preprocessing_fn",
        splits_config=tfx.proto.SplitsConfig(analyze=["train"], transform=["train", "val"]),
        custom_config={
            "image_size": image_size(config.model.backbone, config.model.image_size),
            "fit": config.model.fit,
        },
    )
    transform.add_upstream_node(anomaly_gate)
    examples = transform.outputs["transformed_examples"]

    # Runs the frozen part of the backbone once, for every head, seed, task and trial.
    embedder = None
    if not config.training.from_images:
        embedder = Embedder(examples=examples, options=embedder_options(config, run).to_json())
        examples = embedder.outputs["embeddings"]

    # Searches the head and its optimizer, if configured.
    train_inputs = {
        "examples": examples,
        "transform_graph": transform.outputs["transform_graph"],
        "train_args": tfx.proto.TrainArgs(splits=["train"]),
        "eval_args": tfx.proto.EvalArgs(splits=["val"]),
    }
    tuner = None
    if config.tuner is not None:
        tuner = tfx.components.Tuner(
            tuner_fn="components.trainer.tuner_fn.tuner_fn",
            custom_config=tuner_options(config, run).model_dump(mode="json"),
            **train_inputs,
        )

    # Trains one ensemble member per seed, and chooses temperature and operating point on val.
    trainer = tfx.components.Trainer(
        run_fn="components.trainer.run_fn.run_fn",
        hyperparameters=tuner.outputs["best_hyperparameters"] if tuner else None,
        custom_config=trainer_options(config, run).model_dump(mode="json"),
        **train_inputs,
    )
    model = trainer.outputs["model"]

    # Finds the latest blessed model that is older than this candidate.
    baseline = baseline_node(run.baseline, candidate=model, push_to=run.push_to)

    # Computes metrics on slices of the test split with TFMA.
    evaluator = tfx.components.Evaluator(
        examples=example_gen.outputs["examples"],
        model=model,
        schema=schema.outputs["schema"],
        example_splits=["test"],
        eval_config=eval_config(config.evaluation),
    )

    # Writes one prediction per test image.
    scorer = Scorer(
        examples=example_gen.outputs["examples"],
        model=model,
        baseline_model=baseline.outputs["model"],
        split="test",
        batch_size=config.training.embedding.batch_size,
    )
    predictions = scorer.outputs["predictions"]

    # Measures the model on corrupted validation images, if configured.
    stress_test = stress_test_node(
        config.evaluation,
        examples=transform.outputs["transformed_examples"],
        model=model,
        batch_size=config.training.embedding.batch_size,
    )

    # Blesses the model by absolute bounds and by paired tests against the baseline.
    gate = Gate(
        model=model,
        evaluation=evaluator.outputs["evaluation"],
        evaluator_blessing=evaluator.outputs["blessing"],
        baseline_model=baseline.outputs["model"],
        predictions=predictions,
        options=evaluation_options(config).to_json(),
    )
    blessing = gate.outputs["blessing"]

    # Checks that a server loads the model and returns the same predictions.
    infra = infra_validator(
        run.infra_validation,
        config.serving.image,
        model=model,
        examples=example_gen.outputs["examples"],
        predictions=predictions,
        model_blessing=blessing,
    )
    infra_blessing = infra.outputs["blessing"] if infra else None

    # Pushes a blessed model as a new version to the folder that model servers watch.
    pusher = tfx.components.Pusher(
        model=model,
        model_blessing=blessing,
        infra_blessing=infra_blessing,
        push_destination=tfx.proto.PushDestination(
            filesystem=tfx.proto.PushDestination.Filesystem(base_directory=run.push_to)
        ),
        custom_executor_spec=executor_spec.ExecutorClassSpec(AtomicPusherExecutor),
    )

    # Predicts unlabeled images with a blessed model, if configured.
    batch = batch_nodes(run.batch_records, model=model, model_blessing=blessing)

    # Writes the report of the run as HTML and JSON.
    report = Report(
        examples=example_gen.outputs["examples"],
        model_run=trainer.outputs["model_run"],
        predictions=predictions,
        evaluation=evaluator.outputs["evaluation"],
        blessing=blessing,
        pushed_model=pusher.outputs["pushed_model"],
        model=model,
        infra_blessing=infra_blessing,
        stress_test=stress_test.outputs["results"] if stress_test else None,
        config=config.to_yaml(),
        records=run.records,
        records_sha256=run.records_sha256,
    )

    # Writes the model card: data, training, results and limitations.
    card = ModelCard(
        model=model,
        model_run=trainer.outputs["model_run"],
        predictions=predictions,
        report=report.outputs["report"],
        blessing=blessing,
        config=config.to_yaml(),
        records=run.records,
        task=config.task.to_dict(),
    )

    # Nodes that read the test split, and those after them.
    tested = [baseline, evaluator, scorer, gate, infra, pusher, *batch, report, card]
    nodes = [
        *(example_gen, schema, statistics, validator, anomaly_gate, transform, embedder),
        *(tuner, trainer, stress_test),
        *([] if run.validation_only else tested),
    ]
    return tfx.dsl.Pipeline(
        pipeline_name=PIPELINE_NAME,
        pipeline_root=run.root,
        components=with_code_keys([node for node in nodes if node is not None]),
        enable_cache=True,
        beam_pipeline_args=list(run.beam_args),
    )
