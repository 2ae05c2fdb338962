"""Folds are trained in all three ways of training."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from core.embedding.embed import embed_split
from core.embedding.forward import build_forward
from core.embedding.store import read_embeddings
from core.metrics.options import EvaluationOptions
from core.predictions import table
from core.training.calibration import calibrate
from core.training.data.targets import class_targets
from core.training.data.transformed_images import transformed_images
from core.training.ensemble import TrainedEnsemble, load_recipes, train_ensemble
from core.training.ensemble_predictions import (
    EnsemblePredictions,
    predict_ensemble,
    predict_images,
)
from core.training.fingerprint import fold_paths
from core.training.shifted_validation import folds as fold_rules
from core.training.shifted_validation.results import write_shifted_validation
from core.training.shifted_validation.train import plan_folds, restricted, train_folds
from schema.errors import PneumoError
from tests.support.models.image_job import SIZE, image_job, write_records

OPTIONS = EvaluationOptions(shifted_validation={"by": "source"}, resamples=100)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a folder with transformed records, and embeddings at the top and at the layer."""
    folder = tmp_path_factory.mktemp("site")
    write_records(folder)
    job = image_job(folder)
    for name, layer in (("frozen", "top"), ("cache", job.layer)):
        forward = build_forward(job.model.backbone, SIZE, None, layer, "float32")
        for split in ("train", "val"):
            images = transformed_images([str(folder / split / "*.gz")], SIZE, 16)
            embed_split(images, forward, folder / name / split, split, storage="float32")
    return folder


def trained_ensemble(site: Path, way: str, folder: Path) -> tuple[Any, Any, TrainedEnsemble]:
    """Returns the job, the arguments of the Trainer and the ensemble; sources are A and B."""
    job = image_job(site, **({} if way == "images" else {"source": "cache"}), epochs=1)
    training = job.training.model_copy(update={"epochs": 2, "seeds": (3, 4)})
    if way == "frozen":
        training = training.model_copy(update={"fine_tune": None})
        job = replace(job, layer="top")
    files, name = (site, "*.gz") if way == "images" else (site / way, "records.parquet")
    args = SimpleNamespace(
        train_files=[str(files / "train" / name)],
        eval_files=[str(files / "val" / name)],
        custom_config={"weights": {}},
        hyperparameters=None,
    )
    job = replace(job, training=training, evaluation=OPTIONS, checkpoints=str(folder / "states"))
    recipes = load_recipes(job, folder / "scratch", args)
    trained = train_ensemble(job, recipes, folder, args)

    def with_sources(split: Any) -> Any:
        source = np.array([f"{'AB'[int(n[:-5]) % 2]}" for n in split.records.filename.tolist()])
        return replace(split, records=replace(split.records, source=source))

    (recipe,) = trained.recipes
    train, val = with_sources(trained.train), with_sources(trained.val)
    recipe = replace(recipe, train=train, val=val)
    return job, args, replace(trained, train=train, val=val, recipes=(recipe,))


@pytest.mark.parametrize("way", ["frozen", "cache", "images"])
def test_folds_are_trained_without_the_held_out_images(
    way: str, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MIN_SCORED", "MIN_VALIDATION", "MIN_TRAINING"):
        monkeypatch.setattr(fold_rules, name, 1)
    job, args, trained = trained_ensemble(site, way, tmp_path)
    job = replace(
        job,
        evaluation=OPTIONS.model_copy(
            update={
                "shifted_validation": OPTIONS.shifted_validation.model_copy(update={"max_folds": 2})
            }
        ),
    )
    plan = plan_folds(job, trained.train.records, trained.val.records)
    assert plan is not None
    shifted = train_folds(job, trained, plan, lambda name: fold_paths(job, tmp_path, args, name))
    assert [one.fold.name for one in shifted.trained] == ["PNEUMONIA of A", "PNEUMONIA of B"]
    assert shifted.seed == 3
    assert [[member["seed"] for member in one.members] for one in shifted.trained] == [[3], [3]]
    fold = shifted.trained[0]
    assert set(fold.records.source[fold.held_out]) == {"A"}
    assert set(fold.records.pathogen[fold.held_out]) == {"bacteria", "virus"}
    assert set(fold.records.pathogen[~fold.held_out]) == {"normal"}
    assert fold.predictions.logits.shape == (len(fold.records), 1, 2)

    (recipe,) = trained.recipes
    rest = restricted(recipe, fold.fold)
    np.testing.assert_array_equal(rest.rows.rows, fold.fold.train_rows)
    np.testing.assert_array_equal(rest.val_rows.rows, fold.fold.val_rows)
    features = recipe.train.features[0][fold.fold.train_rows]
    np.testing.assert_allclose(
        rest.scaling[0], features[:, : len(rest.scaling[0])].mean(axis=0), atol=1e-5
    )

    # A restarted run reads the finished folds.
    again = train_folds(job, trained, plan, lambda name: fold_paths(job, tmp_path, args, name))
    np.testing.assert_allclose(
        again.trained[1].predictions.logits, shifted.trained[1].predictions.logits, atol=1e-4
    )

    val = trained.val.records
    logits = predict_ensemble(trained.network, trained.val).logits
    if recipe.images is not None:
        rows = np.array([4, 0, 7])
        streamed = predict_images(trained.network, recipe.images[1], rows, "test", batch=2).logits
        np.testing.assert_allclose(streamed, logits[rows], atol=1e-3)
    targets = class_targets(val.pathogen, job.task)
    calibrated = calibrate(logits, targets, val.binary_labels(job.task), job.task, job.evaluation)
    write_shifted_validation(
        tmp_path, job, shifted, val, EnsemblePredictions.from_logits(logits), calibrated
    )
    content = json.loads((tmp_path / "shifted_validation.json").read_text())
    assert [one["name"] for one in content["folds"]] == ["PNEUMONIA of A", "PNEUMONIA of B"]
    assert content["mean"]["folds"] == 2
    assert {one["reason"] for one in content["skipped"]} == {
        "only the 2 largest folds are used (max_folds)"
    }
    rows_written = pq.read_table(tmp_path / "shifted_predictions.parquet")
    assert rows_written.schema.names == table.schema(folds=True).names
    assert rows_written.num_rows == sum(len(one.records) for one in shifted.trained)


def test_nothing_is_trained_without_the_option(site: Path) -> None:
    nothing: Any = None
    assert plan_folds(image_job(site), nothing, nothing) is None


def test_pooled_without_a_fold_fails_before_training(site: Path) -> None:
    point = OPTIONS.operating_point.model_copy(update={"fit_on": "pooled"})
    options = OPTIONS.model_copy(update={"operating_point": point})
    job = replace(image_job(site), evaluation=options)
    records = read_embeddings(site / "frozen" / "val").records
    with pytest.raises(PneumoError, match=r"needs a fold of shifted validation.*fewer than"):
        plan_folds(job, records, records)
