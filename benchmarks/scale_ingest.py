"""What ingest costs: its passes over stub files, and the plan alone over a made-up catalog."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import scale_stubs
from benchmarks.scale_child import Clock, tree_bytes
from components.ingest.job import _Run
from components.ingest.options import IngestOptions
from components.ingest.reuse import identity_of
from components.ingest.scan import Entry
from components.ingest.work import WorkFolder, atomic, json_line, read_lines

# Two hashes agree in a band as often as those of 5,232 real radiographs do (0.66 % of all pairs).
ALIKE = 0.261


class Timed(_Run):
    """A run whose passes are timed apart; the rest is the plan."""

    clock: Clock

    def _beam(self, step: str, names: list[str], total: int, done: int = 0) -> None:
        with self.clock.part(step):
            super()._beam(step, names, total, done)


class Planned(Timed):
    """A run without images: what the workers would have found is made up, off the clock."""

    n: int

    def _listing(self) -> Iterator[Entry]:
        for entry in scale_stubs.entries(self.n):
            self.hashed.add(entry)
            yield entry

    def _beam(self, step: str, names: list[str], *_: int) -> None:
        with self.clock.part("made up"):
            if step == "write":
                for name in names:
                    self._written(name)
                return
            hashes = scale_stubs.hashes(self.n, np.full(256, ALIKE, np.float32))
            at = 0
            for name in names:
                files = json_list(self.work.lists / f"{name}.json")
                with atomic(self.work.checks / f"{name}.jsonl") as out:
                    for path, *_ in files:
                        out.write(json_line(scale_stubs.checked(path, hashes[at].tobytes())))
                        at += 1

    def _written(self, name: str) -> None:
        split = name.split("-", 1)[0]
        with atomic(self.work.rows / f"{name}.jsonl") as out:
            out.write(json_line({"shard": name, "sha256": "0" * 64}))
            for index, file in enumerate(read_lines(self.work.lists / f"{name}.jsonl")):
                kept = {k: file[k] for k in ("filename", "sha256", "pathogen", "patient_id")}
                row = {**kept, "boxes": 0, "split": split, "shard": name, "index": index}
                out.write(json_line(row))


def json_list(path: Path) -> list[list[Any]]:
    import json

    return json.loads(path.read_bytes())["files"]


def _run(kind: type[Timed], source: Path, work: Path) -> tuple[dict[str, Any], Timed]:
    folder = WorkFolder(work)
    folder.root.mkdir(parents=True, exist_ok=True)
    options = IngestOptions()
    run = kind(
        source, work / "dest", options, folder, (), lambda *_: None, identity_of(source, options)
    )
    run.clock = Clock()
    return {}, run


def whole(source: Path, work: Path) -> dict[str, Any]:
    """All passes over files that are there."""
    _, run = _run(Timed, source, work)
    all_of = Clock()
    with all_of.part("all"):
        summary = run.make()
    parts = run.clock.parts
    return {
        "n": summary.written,
        "check_s": parts["check"],
        "write_s": parts["write"],
        "plan_s": all_of.parts["all"] - parts["check"] - parts["write"],
        "shard_bytes": sum(p.stat().st_size for p in (work / "out").glob("*.tfrecord")),
        "work_bytes": tree_bytes(work) - tree_bytes(work / "out"),
    }


def plan(n: int, source: Path, work: Path) -> dict[str, Any]:
    """The plan alone."""
    source.mkdir(parents=True, exist_ok=True)
    _, run = _run(Planned, source, work)
    run.n = n  # type: ignore[attr-defined]
    all_of = Clock()
    with all_of.part("all"):
        summary = run.make()
    return {
        "n": summary.written,
        "plan_s": all_of.parts["all"] - run.clock.parts["made up"],
        "made_up_s": run.clock.parts["made up"],
        "work_bytes": tree_bytes(work),
    }
