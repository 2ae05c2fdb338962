"""The members of the ensemble: a head for each seed, and blocks of the trunk if asked for."""

import glob
import hashlib
import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from components.embedder.embed import SAMPLES
from components.embedder.store import Embeddings, read
from components.trainer.batches import Rows
from components.trainer.compute import resolved
from components.trainer.distribution import Team
from components.trainer.fit import Places, fine_tune, fit_head, new_head
from components.trainer.head import select
from components.trainer.images import embed_images, images_source, unpack_images
from components.trainer.job import Job, rows_of
from components.trainer.logs import log_images
from components.trainer.loop import Curves, Source
from components.trainer.network import Member, moments
from components.trainer.options import FineTuneOptions
from components.trainer.sources import rows_source
from schema.storage import join

if TYPE_CHECKING:
    import keras
    from tfx.v1.components import FnArgs

log = logging.getLogger("pneumo.fit")

_END: Final = 2**16  # bytes


@dataclass(frozen=True)
class Found:
    """What the members learned from, and what came out.

    Attributes:
      train: embeddings.
      val: likewise.
      lower: the members' trunk, below the cut.
      members: one for each seed.
      facts: for `training.json`.
      phases: seed -> phase -> curves.
    """

    train: Embeddings
    val: Embeddings
    lower: Any
    members: list[Member]
    facts: dict[str, Any]
    phases: dict[int, dict[str, Curves]]


def train_members(
    job: Job, scratch: Path, folder: Path, fn_args: "FnArgs", team: Team
) -> Found | None:
    """Trains one member for each seed.

    Returns:
      What came out; None where this is not the chief.

    """
    options, tune = job.training, _fine_tune_options(job, team)
    files = fn_args.train_files, fn_args.eval_files
    images, data = None, None
    if job.from_images:
        images = unpack_images(*files, scratch, team)
        data = embed_images(job, images, files[1], scratch)
    elif team.chief or tune is not None:
        train, val = (read(Path(of[0]).parent) for of in files)
        data = train, val
    rows = val_rows = scaling = None
    if data is not None:
        balanced = options.class_weight == "balanced"
        rows, val_rows = (
            rows_of(data[0], job.of, balanced),
            rows_of(data[1], job.of, balanced=False),
        )
        scaling = moments(select(data[0].features[0], job.model.pooling))
        samples = Path(files[0][0]).parent / SAMPLES
        if samples.is_file() and team.chief:
            log_images(folder / "tensorboard", "images and their views", np.load(samples))
    members, told = [], []
    curves_of: dict[int, dict[str, Curves]] = {}
    seconds = {"embed": 0.0, "fit": 0.0, "fine_tune": 0.0}
    if data is not None:
        seconds["embed"] = sum(of.facts["seconds"] for of in data)
    for seed in options.seeds:
        places = places_of(job, folder, fn_args, seed)
        at = time.monotonic()
        head, phases = _head(job, rows, val_rows, scaling, seed, places, team)
        upper, spent = None, {"head": _spent(at, phases.get("head"))}
        if tune is not None:
            at = time.monotonic()
            source = (
                images_source(job, seed, images, rows, team)
                if images is not None
                else _stored_source(data, rows, val_rows, seed, tune.batch_size, team)
            )
            upper, head, phases["fine_tune"] = fine_tune(
                job.trunk, head, source, job.model.pooling, tune, options, seed, places, team
            )  # fmt: skip
            spent["fine_tune"] = _spent(at, phases["fine_tune"])
        curves_of[seed] = phases
        members.append(Member(head, upper))
        *_, last = phases.values() if phases else (Curves(),)
        told.append(
            {"seed": seed, "epochs": len(last), "best_epoch": last.best_epoch, "seconds": spent}
        )
        for phase, of_phase in (("fit", "head"), ("fine_tune", "fine_tune")):
            seconds[phase] = round(seconds[phase] + spent.get(of_phase, 0.0), 3)
    if not team.chief:
        return None
    assert data is not None
    lower, _ = job.trunk.split()
    facts = {"members": told, "seconds": seconds, "compute": tune.compute if tune else None}
    return Found(*data, lower, members, facts, curves_of)


def _spent(since: float, curves: Curves | None) -> float:
    """Seconds, with those of processes that were killed."""
    return round(time.monotonic() - since + (curves.earlier if curves else 0.0), 3)


def _fine_tune_options(job: Job, team: Team) -> FineTuneOptions | None:
    """As asked for, with "auto" resolved by the chief's machine."""
    tune = job.training.fine_tune
    if tune is None:
        return None
    compute = str(team.tell([np.array(resolved(tune.compute))])[0])
    log.info("fine-tuning computes in %s", compute)
    return tune.model_copy(update={"compute": compute})


def _stored_source(
    data: tuple[Embeddings, Embeddings] | None,
    rows: Rows | None,
    val_rows: Rows | None,
    seed: int,
    batch_size: int,
    team: Team,
) -> Source:
    """The same images, as they are at the cut."""
    assert data is not None and rows is not None and val_rows is not None
    return rows_source(
        replace(rows, views=data[0].maps), replace(val_rows, views=data[1].maps),
        seed, batch_size, team.share,
    )  # fmt: skip


def _head(
    job: Job,
    rows: Rows | None,
    val_rows: Rows | None,
    scaling: tuple[np.ndarray, np.ndarray] | None,
    seed: int,
    places: Places,
    team: Team,
) -> "tuple[keras.Model, dict[str, Curves]]":
    """The first phase, and its curves. The chief trains, and tells the others what came out.

    A step of a few thousand weights takes less time than adding up their gradients over a network:
    several processes would be slower than one.
    """
    phases: dict[str, Curves] = {}
    head, known = None, None
    if team.chief:
        assert rows is not None and val_rows is not None and scaling is not None
        head, phases["head"] = fit_head(
            rows, val_rows, scaling, job.of, job.model, job.training, seed, places
        )
        known = [*scaling, *head.get_weights()]
    mean, deviation, *weights = team.tell(known)
    if head is None:
        head = new_head((mean, deviation), job.of, job.model, seed)
        head.set_weights(weights)
    return head, phases


def places_of(job: Job, folder: Path, fn_args: "FnArgs", seed: int) -> Places:
    """Where a member leaves its traces."""
    return Places(states_of(job, fn_args), folder / "tensorboard" / f"seed-{seed}")


def states_of(job: Job, fn_args: "FnArgs") -> str:
    """Folder of the states that this very training goes on from; there until all of it is done."""
    return join(job.checkpoints, fingerprint(fn_args))


def fingerprint(fn_args: "FnArgs") -> str:
    """Names the checkpoints of this very training: its inputs and every option that changes it.

    Not where the inputs lie nor who trains: a run goes on where its inputs were copied to another
    folder, and on another number of processes.
    """
    config = {k: v for k, v in fn_args.custom_config.items() if k != "checkpoints"}
    # The digest of the weights says more than where they lie; so do the options of the model.
    config["weights"] = {k: v for k, v in config["weights"].items() if k != "file"}
    parts = [
        _contents(fn_args.train_files),
        _contents(fn_args.eval_files),
        config,
        fn_args.hyperparameters,
    ]
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _contents(patterns: Sequence[str]) -> list[tuple[str, int, str]]:
    """Name, bytes, and digest of both ends of each file."""
    found = []
    for pattern in patterns:
        for path in sorted(map(Path, glob.glob(pattern))):  # noqa: PTH207  an absolute pattern
            if not path.is_file():
                continue
            size = path.stat().st_size
            with path.open("rb") as file:
                ends = file.read(_END)
                file.seek(max(0, size - _END))
                ends += file.read(_END)
            found.append((path.name, size, hashlib.sha256(ends).hexdigest()))
    return found
