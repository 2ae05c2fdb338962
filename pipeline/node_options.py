"""Options of the nodes, derived from the configuration and the run."""

from components.embedder.options import EmbedderOptions
from core.metrics.options import EvaluationOptions
from core.models.backbones import image_size, resolve_layer
from core.training.options import TrainerOptions
from pipeline.config import Config
from pipeline.run_context import RunContext


def evaluation_options(config: Config) -> EvaluationOptions:
    """Returns the options of evaluation that affect the model and its blessing.

    The stress test does not. Without it in their options, Trainer and Gate stay cached when it is
    switched on.
    """
    return config.evaluation.model_copy(update={"corruptions": None})


def trainer_options(config: Config, run: RunContext) -> TrainerOptions:
    """Returns the options of the Trainer."""
    tune = config.training.fine_tune
    return TrainerOptions(
        name=config.name,
        task=config.task,
        model=config.model,
        training=config.training,
        evaluation=evaluation_options(config),
        weights=run.weights,
        member_weights=run.member_weights,
        teacher_sha256=run.teacher_sha256,
        image_size=image_size(config.model.backbone, config.model.image_size),
        layer=resolve_layer(config.model.backbone, tune.trainable_from) if tune else "top",
        checkpoints=run.checkpoints,
        synthetic=run.synthetic,
        # Without the path, records that moved are found in the cache.
        records=run.records if run.synthetic is None else "",
    )


def tuner_options(config: Config, run: RunContext) -> TrainerOptions:
    """Returns the options of the Tuner."""
    return trainer_options(config, run).model_copy(update={"tuner": config.tuner})


def embedder_options(config: Config, run: RunContext) -> EmbedderOptions:
    """Returns the options of the Embedder."""
    trainer, embedding = trainer_options(config, run), config.training.embedding
    # A detector reads activations from its first level on.
    detector = config.model.detector
    layer = detector.levels[0] if detector else embedding.layer
    return EmbedderOptions(
        backbone=config.model.backbone,
        weights=run.weights,
        image_size=trainer.image_size,
        fit=config.model.fit,
        layer=resolve_layer(config.model.backbone, layer) if layer else trainer.layer,
        embedding=embedding.model_copy(update={"layer": None}),
    )
