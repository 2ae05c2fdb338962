"""Entry point of the Tuner node: KerasTuner over heads on the same embedded features."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.embedding.store import read
from core.models.classifier import feature_moments
from core.models.head import select_pooling
from core.training.head_phase import fit_head
from core.training.job import Job, labeled_rows, tuned_values
from core.training.options import TunerOptions

if TYPE_CHECKING:
    import keras_tuner
    from tfx.components.tuner.component import TunerFnResult
    from tfx.v1.components import FnArgs


def space(options: TunerOptions) -> "keras_tuner.HyperParameters":
    """Returns the search space; the sizes of dense layers are written as 256-64."""
    import keras_tuner

    found = keras_tuner.HyperParameters()
    found.Choice("dense", ["-".join(str(size) for size in sizes) for sizes in options.dense])
    found.Choice("dropout", list(options.dropout))
    found.Float("learning_rate", *options.learning_rate, sampling="log")
    found.Float("weight_decay", *options.weight_decay, sampling="log")
    return found


def tuner_fn(fn_args: "FnArgs") -> "TunerFnResult":
    """Entry point of the TFX Tuner.

    `custom_config` is that of the Trainer and `tuner`, the options of the search. A trial trains
    one head with the first seed and is scored by its best validation loss.
    """
    import keras_tuner
    from tfx.components.tuner.component import TunerFnResult

    config: dict[str, Any] = fn_args.custom_config
    options = TunerOptions(**config["tuner"])
    base = Job.parse(config)
    train, val = (read(Path(f[0]).parent) for f in (fn_args.train_files, fn_args.eval_files))
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
        """Trains a head where KerasTuner would build and fit a model."""

        def run_trial(self, trial: "keras_tuner.engine.trial.Trial", **_: Any) -> dict[str, float]:
            """Returns the best validation loss and its accuracy."""
            job = Job.parse(config, tuned_values(trial.hyperparameters.values))
            training = job.training.model_copy(update={"epochs": options.epochs})
            _, curves = fit_head(
                rows, val_rows, scaling, job.task, job.model, training, job.training.seeds[0]
            )
            at = curves.best_epoch - 1
            return {name: curves.values[name][at] for name in ("val_loss", "val_accuracy")}

    tuner = HeadTuner(
        objective=keras_tuner.Objective("val_loss", direction="min"),
        max_trials=options.trials,
        seed=options.seed,
        hyperparameters=space(options),
        tune_new_entries=False,
        allow_new_entries=False,
        directory=fn_args.working_dir,
        project_name="heads",
        overwrite=True,
    )
    return TunerFnResult(tuner=tuner, fit_kwargs={})
