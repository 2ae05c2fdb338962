"""Entry point of the Tuner: searches head hyperparameters on embedded features with KerasTuner."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.embedding.store import read_embeddings
from core.models.classifier import feature_moments
from core.models.head import select_pooling
from core.training.classifier.head_phase import fit_head
from core.training.data.targets import labeled_rows
from core.training.job import Job, tuned_values
from core.training.options import TrainerOptions, TunerOptions

if TYPE_CHECKING:
    import keras_tuner
    from tfx.components.tuner.component import TunerFnResult
    from tfx.v1.components import FnArgs


def search_space(options: TunerOptions) -> "keras_tuner.HyperParameters":
    """Returns the search space; the sizes of dense layers are strings such as "256-64"."""
    import keras_tuner

    space = keras_tuner.HyperParameters()
    space.Choice("dense", ["-".join(str(size) for size in sizes) for sizes in options.dense])
    space.Choice("dropout", list(options.dropout))
    space.Float("learning_rate", *options.learning_rate, sampling="log")
    space.Float("weight_decay", *options.weight_decay, sampling="log")
    return space


def tuner_fn(fn_args: "FnArgs") -> "TunerFnResult":
    """Returns the tuner; each trial trains one head with the first seed.

    Args:
      fn_args: `custom_config` is a `TrainerOptions` with the section `tuner`.

    Raises:
      ValueError: the section `tuner` is missing.
    """
    import keras_tuner
    from tfx.components.tuner.component import TunerFnResult

    trainer_options = TrainerOptions.model_validate(fn_args.custom_config)
    options = trainer_options.tuner
    if options is None:
        raise ValueError("custom_config lacks the section `tuner`; set `tuner` to TunerOptions")
    epochs = options.epochs
    base = Job.resolve(trainer_options)
    train, val = (
        read_embeddings(Path(f[0]).parent) for f in (fn_args.train_files, fn_args.eval_files)
    )
    balanced = base.training.class_weight == "balanced"
    rows, val_rows = (
        labeled_rows(train, base.task, balanced),
        labeled_rows(val, base.task, balanced=False),
    )
    scaling = feature_moments(select_pooling(train.features[0], base.model.pooling))

    algorithm = {
        "random": keras_tuner.RandomSearch,
        "bayesian": keras_tuner.BayesianOptimization,
    }[options.algorithm]

    class HeadTuner(algorithm):  # type: ignore[misc, valid-type]
        """Trains a head instead of a model that KerasTuner built."""

        def run_trial(self, trial: "keras_tuner.engine.trial.Trial", **_: Any) -> dict[str, float]:
            """Returns loss and accuracy on validation at the best epoch."""
            job = Job.resolve(trainer_options, tuned_values(trial.hyperparameters.values))
            training = job.training.model_copy(update={"epochs": epochs, "distill": None})
            _, curves = fit_head(
                rows, val_rows, scaling, job.task, job.model, training, job.training.seeds[0]
            )
            best = curves.best_epoch - 1
            return {name: curves.values[name][best] for name in ("val_loss", "val_accuracy")}

    tuner = HeadTuner(
        objective=keras_tuner.Objective("val_loss", direction="min"),
        max_trials=options.trials,
        seed=options.seed,
        hyperparameters=search_space(options),
        tune_new_entries=False,
        allow_new_entries=False,
        directory=fn_args.working_dir,
        project_name="heads",
        overwrite=True,
    )
    return TunerFnResult(tuner=tuner, fit_kwargs={})
