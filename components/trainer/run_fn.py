"""What the Trainer node runs: a head for each seed, blocks of the trunk if asked for, export."""

import hashlib
import json
import logging
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from components.embedder.embed import SAMPLES
from components.embedder.store import Embeddings, read
from components.trainer.answers import answer, summary_text, write_predictions
from components.trainer.calibrate import calibrate
from components.trainer.facts import facts_of, tell_members
from components.trainer.fit import Places, fine_tune, fit_head, rows_source, write_history
from components.trainer.head import select
from components.trainer.images import embed_images, images_source
from components.trainer.job import Job, rows_of, tuned_values
from components.trainer.logs import log_images
from components.trainer.loop import Curves
from components.trainer.losses import targets_of
from components.trainer.network import Member, Network, moments

if TYPE_CHECKING:
    from tfx.v1.components import FnArgs

log = logging.getLogger("pneumo.trainer")


def run_fn(fn_args: "FnArgs") -> None:
    """Entry point of the TFX Trainer.

    `custom_config` is what `Job.parse` reads. Writes the SavedModel to `serving_model_dir` and the
    training record (curves, answers on validation, TensorBoard logs, facts) to `model_run_dir`.
    """
    import tensorflow_transform as tft

    from components.transform.decode import from_png
    from serving.export import Decision, export

    started = time.monotonic()
    job = Job.parse(fn_args.custom_config, tuned_values(fn_args.hyperparameters))
    folder = Path(fn_args.model_run_dir)
    folder.mkdir(parents=True, exist_ok=True)
    if notice := job.weights.notice(job.model.trunk):
        log.warning(notice)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        if job.from_images:
            train, val = embed_images(job, fn_args.train_files, fn_args.eval_files, Path(scratch))
        else:
            train, val = (
                read(Path(f[0]).parent) for f in (fn_args.train_files, fn_args.eval_files)
            )
        lower, members, facts = _members(job, train, val, folder, fn_args)
        network = Network(lower, tuple(members), job.model.pooling)
        answers = answer(network, val)
        counts = val.records.box_counts
        targets = targets_of(val.records.pathogen, job.of, counts)
        known = zip(val.records.pathogen.tolist(), counts.tolist(), strict=True)
        positive = np.array([job.of.side(*record) for record in known])
        fixed = calibrate(answers.logits, targets, positive, job.of, job.evaluation)
        write_predictions(folder / "val_predictions.parquet", val.records, answers, fixed, job.of)
        tell_members(facts["members"], answers, positive, targets, job.of)
        facts |= facts_of(job, train, val, network, fixed)
    (folder / "model_summary.txt").write_text(summary_text(network))
    served, optimised = _served(network)
    export(
        served,
        served.variables,
        network.size,
        tft.TFTransformOutput(fn_args.transform_output),
        job.of,
        fn_args.serving_model_dir,
        pixels_of=lambda png: from_png(png, network.size),
        features=served.features,
        decision=Decision(
            fixed.facts["temperature"], fixed.facts["threshold"], fixed.facts["band"]
        ),
        about={
            "name": job.name,
            "trunk": job.model.trunk,
            "weights": job.weights.to_dict(),
            "synthetic": job.synthetic,
            "data": {
                f"{split}_{what}": count
                for split, of in (("training", train), ("validation", val))
                for what, count in (
                    ("images", len(of)),
                    ("patients", len(set(of.records.patient_id.tolist()))),
                )
            },
            "seeds": list(job.training.seeds),
            "operating_point": fixed.facts["operating_point"],
            "optimised": optimised,
        },
    )
    facts["seconds"]["all"] = round(time.monotonic() - started, 3)
    (folder / "training.json").write_text(json.dumps(facts, indent=1))


def _served(network: Network) -> tuple[Network, dict[str, Any]]:
    """The network as it is exported, and what was done to it: faster, if it says the same."""
    from serving.optimise import BOUND, difference

    folded = network.folded()
    apart = difference(network, folded, network.size)
    if apart <= BOUND:
        return folded, {"batch_norm_folded": True, "difference": apart}
    log.warning(
        "folding batch norm would change a probability by %.1e (bound %.0e); exported without",
        apart, BOUND,
    )  # fmt: skip
    return network, {"batch_norm_folded": False, "difference": apart}


def _members(
    job: Job, train: Embeddings, val: Embeddings, folder: Path, fn_args: "FnArgs"
) -> tuple[Any, list[Member], dict[str, Any]]:
    """Trains one member for each seed."""
    options, tune = job.training, job.training.fine_tune
    balanced = options.class_weight == "balanced"
    rows, val_rows = rows_of(train, job.of, balanced), rows_of(val, job.of, balanced=False)
    # The same images, as they are at the cut.
    at_cut, val_at_cut = replace(rows, views=train.maps), replace(val_rows, views=val.maps)
    scaling = moments(select(train.features[0], job.model.pooling))
    lower, _ = job.trunk.split()
    samples = Path(fn_args.train_files[0]).parent / SAMPLES
    if samples.is_file():
        log_images(folder / "tensorboard", "images and their views", np.load(samples))
    members, told = [], []
    seconds = {"embed": train.facts["seconds"] + val.facts["seconds"], "fit": 0.0, "fine_tune": 0.0}
    for seed in options.seeds:
        places = Places(
            job.checkpoints / _fingerprint(fn_args), folder / "tensorboard" / f"seed-{seed}"
        )
        at = time.monotonic()
        head, curves = fit_head(rows, val_rows, scaling, job.of, job.model, options, seed, places)
        phases: dict[str, Curves] = {"head": curves}
        upper, spent = None, {"head": round(time.monotonic() - at, 3)}
        if tune is not None:
            at = time.monotonic()
            if job.from_images:
                source = images_source(job, seed, fn_args.train_files, fn_args.eval_files, rows)
            else:
                source = rows_source(at_cut, val_at_cut, seed, tune.batch_size)
            upper, head, phases["fine_tune"] = fine_tune(
                job.trunk, head, source, job.model.pooling, tune, options, seed, places
            )  # fmt: skip
            spent["fine_tune"] = round(time.monotonic() - at, 3)
        write_history(folder, seed, phases)
        members.append(Member(head, upper))
        *_, last = phases.values()
        told.append(
            {"seed": seed, "epochs": len(last), "best_epoch": last.best_epoch, "seconds": spent}
        )
        for phase, of_phase in (("fit", "head"), ("fine_tune", "fine_tune")):
            seconds[phase] = round(seconds[phase] + spent.get(of_phase, 0.0), 3)
    first = folder / "history" / f"{options.seeds[0]}.json"
    (folder / "history.json").write_text(first.read_text())
    return lower, members, {"members": told, "seconds": seconds}


def _fingerprint(fn_args: "FnArgs") -> str:
    """Names the checkpoints of this very training: its inputs and every option."""
    parts = [
        list(fn_args.train_files),
        list(fn_args.eval_files),
        fn_args.custom_config,
        fn_args.hyperparameters,
    ]
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
