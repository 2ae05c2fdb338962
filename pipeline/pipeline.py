"""The graph of nodes, from records to a pushed model and its report."""

import json
from typing import TYPE_CHECKING, Any

from core.models.backbones import image_size, resolve_layer
from pipeline.code_keys import ROOT, with_code_keys
from pipeline.config import Config

if TYPE_CHECKING:
    from tfx.v1 import dsl

PIPELINE_NAME = "pneumo"
SCHEMA_FILE = ROOT / "schema" / "schema.pbtxt"


def create_pipeline(config: Config) -> "dsl.Pipeline":
    """Builds the graph of one configuration.

    Args:
      config: with `run` filled in by a runner (paths, weights).

    Raises:
      ValueError: `config.run` is missing.
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

    run = config.run
    if run is None:
        raise ValueError("config.run is missing; a runner fills it in")

    task, size = config.data.of(), image_size(config.model.backbone, config.model.image_size)
    tune, embedding = config.training.fine_tune, config.training.embedding
    layer, embedded_at = _split_layers(config)

    # Reads the shards that ingest wrote; ingest made the splits, and no node draws them again.
    example_gen = tfx.components.ImportExampleGen(
        input_base=run.records,
        input_config=tfx.proto.Input(
            splits=[
                tfx.proto.Input.Split(name=split, pattern=f"{split}-*.tfrecord")
                for split in ("train", "val", "test")
            ]
        ),
    )

    # The data contract is curated by hand; no node infers one.
    schema = tfx.components.ImportSchemaGen(schema_file=str(SCHEMA_FILE))

    # Counts of classes, sizes and intensities; the schema's image domain adds image statistics.
    statistics = tfx.components.StatisticsGen(
        examples=example_gen.outputs["examples"],
        schema=schema.outputs["schema"],
        stats_options=tfdv.StatsOptions(enable_semantic_domain_stats=True),
    )

    # Compares every split with the schema ...
    validator = tfx.components.ExampleValidator(
        statistics=statistics.outputs["statistics"], schema=schema.outputs["schema"]
    )
    # ... and stops the run at an anomaly.
    gate = AnomalyGate(anomalies=validator.outputs["anomalies"])

    # Decodes and resizes: one graph for training and serving. The test split is not transformed.
    transform = tfx.components.Transform(
        examples=example_gen.outputs["examples"],
        schema=schema.outputs["schema"],
        preprocessing_fn="components.transform.preprocessing.preprocessing_fn",
        splits_config=tfx.proto.SplitsConfig(analyze=["train"], transform=["train", "val"]),
        custom_config={"image_size": size, "fit": config.model.fit},
    )
    transform.add_upstream_node(gate)

    # Runs the frozen part of the backbone once, for every head, seed, task and trial.
    # Training that augments in each epoch reads images instead.
    from_images = tune is not None and tune.source == "images"
    embedder = Embedder(
        examples=transform.outputs["transformed_examples"],
        backbone=config.model.backbone,
        image_size=size,
        weights=_json(run.weights),
        layer=embedded_at,
        options=_json(embedding.model_dump(mode="json", exclude={"layer"})),
        fit=config.model.fit,
    )
    examples = transform.outputs["transformed_examples"]
    if not from_images:
        examples = embedder.outputs["embeddings"]
    training = {
        "name": config.name,
        "model": config.model.model_dump(mode="json"),
        "training": config.training.model_dump(mode="json"),
        "evaluation": config.evaluation.model_dump(mode="json"),
        "weights": run.weights,
        "task": task.to_dict(),
        "image_size": size,
        "layer": layer,
        "synthetic": run.synthetic,
        **({"records": run.records} if run.synthetic is None else {}),
        "checkpoints": run.checkpoints,
    }

    # Searches head and optimizer, if configured.
    tuner = None
    if config.tuner is not None:
        tuner = tfx.components.Tuner(
            tuner_fn="components.trainer.tuner_fn.tuner_fn",
            examples=examples,
            transform_graph=transform.outputs["transform_graph"],
            train_args=tfx.proto.TrainArgs(splits=["train"]),
            eval_args=tfx.proto.EvalArgs(splits=["val"]),
            custom_config={**training, "tuner": config.tuner.model_dump(mode="json")},
        )

    # One ensemble member per seed: the head, then blocks of the backbone. Epoch, temperature and
    # operating point are chosen on val.
    trainer = tfx.components.Trainer(
        run_fn="components.trainer.run_fn.run_fn",
        examples=examples,
        transform_graph=transform.outputs["transform_graph"],
        hyperparameters=tuner.outputs["best_hyperparameters"] if tuner else None,
        train_args=tfx.proto.TrainArgs(splits=["train"]),
        eval_args=tfx.proto.EvalArgs(splits=["val"]),
        custom_config=training,
    )

    # The model to beat: the latest blessed one that is older than this candidate.
    baseline = baseline_node(run.baseline, candidate=trainer.outputs["model"], push_to=run.push_to)

    # Metrics on slices of the test split, and the absolute bounds.
    evaluator = tfx.components.Evaluator(
        examples=example_gen.outputs["examples"],
        model=trainer.outputs["model"],
        schema=schema.outputs["schema"],
        example_splits=["test"],
        eval_config=eval_config(config.evaluation),
    )

    # One prediction per test image: for intervals by patient and the gallery of mistakes.
    scorer = Scorer(
        examples=example_gen.outputs["examples"],
        model=trainer.outputs["model"],
        baseline_model=baseline.outputs["model"],
        split="test",
        batch_size=config.training.embedding.batch_size,
    )

    # The blessing: bounds, and paired tests against the blessed model on the same images.
    blesser = Gate(
        model=trainer.outputs["model"],
        evaluation=evaluator.outputs["evaluation"],
        evaluator_blessing=evaluator.outputs["blessing"],
        baseline_model=baseline.outputs["model"],
        predictions=scorer.outputs["predictions"],
        options=_json(config.evaluation.model_dump(mode="json")),
    )

    # The infrastructure blessing: a server loads the model and returns the same predictions.
    infra = infra_validator(
        run.infra_validation,
        config.serving.image,
        model=trainer.outputs["model"],
        examples=example_gen.outputs["examples"],
        predictions=scorer.outputs["predictions"],
        model_blessing=blesser.outputs["blessing"],
    )

    # A blessed model becomes a new version in the folder that model servers watch.
    pusher = tfx.components.Pusher(
        model=trainer.outputs["model"],
        model_blessing=blesser.outputs["blessing"],
        infra_blessing=infra.outputs["blessing"] if infra else None,
        push_destination=tfx.proto.PushDestination(
            filesystem=tfx.proto.PushDestination.Filesystem(base_directory=run.push_to)
        ),
        custom_executor_spec=executor_spec.ExecutorClassSpec(AtomicPusherExecutor),
    )

    # A table of the blessed model's predictions for unlabelled images, if there are any.
    batch = batch_nodes(
        run.batch_records,
        model=trainer.outputs["model"],
        model_blessing=blesser.outputs["blessing"],
    )

    # One page, and the same numbers in JSON, whether the model is blessed or not.
    report = Report(
        examples=example_gen.outputs["examples"],
        model_run=trainer.outputs["model_run"],
        predictions=scorer.outputs["predictions"],
        evaluation=evaluator.outputs["evaluation"],
        blessing=blesser.outputs["blessing"],
        pushed_model=pusher.outputs["pushed_model"],
        model=trainer.outputs["model"],
        infra_blessing=infra.outputs["blessing"] if infra else None,
        config=config.to_yaml(),
        records=run.records,
        records_sha256=run.records_sha256,
    )

    # Data, training, results and limits of the model.
    card = ModelCard(
        model=trainer.outputs["model"],
        model_run=trainer.outputs["model_run"],
        predictions=scorer.outputs["predictions"],
        report=report.outputs["report"],
        blessing=blesser.outputs["blessing"],
        config=config.to_yaml(),
        records=run.records,
        task=task.to_dict(),
    )

    return tfx.dsl.Pipeline(
        # One name for all configurations of a work folder, so that they share cached nodes.
        pipeline_name=PIPELINE_NAME,
        pipeline_root=run.root,
        components=with_code_keys(
            [
                example_gen,
                schema,
                statistics,
                validator,
                gate,
                transform,
                *([] if from_images else [embedder]),
                *([tuner] if tuner else []),
                trainer,
                baseline,
                evaluator,
                scorer,
                blesser,
                *([infra] if infra else []),
                pusher,
                *batch,
                report,
                card,
            ]
        ),
        enable_cache=True,
        beam_pipeline_args=list(run.beam_args),
    )


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _split_layers(config: Config) -> tuple[str, str]:
    """Returns the layers from which the backbone is trained ("top": none) and embedded."""
    backbone, tune = config.model.backbone, config.training.fine_tune
    layer = resolve_layer(backbone, tune.trainable_from) if tune else "top"
    # A detector reads maps from its first level on; the heads for the image stand on the top.
    detector = config.model.detector
    wanted = detector.levels[0] if detector else config.training.embedding.layer
    return layer, resolve_layer(backbone, wanted) if wanted else layer
