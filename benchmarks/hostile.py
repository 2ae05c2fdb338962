"""Hostile files mixed into real ones, through ingest and then through the whole run.

    python -m benchmarks.hostile FOLDER_OF_IMAGES [HOSTILE] [REAL] [SEED]

FOLDER_OF_IMAGES has {train,val,test}/{NORMAL,PNEUMONIA}; it is only read. Prints what became of the
files, by reason, and fails when one met another fate than it should.
"""

import itertools
import json
import random
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.child import measure
from components.ingest.work import read_lines
from tests.support.hostile import make_hostile, wrong_fates


def account(source: Path, hostile: int, real: int, seed: int) -> dict[str, Any]:
    """Counts of one mixed tree."""
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        files = sorted(source.glob("*/*/*.jpeg"))
        random.Random(seed).shuffle(files)
        for file in itertools.islice(files, real):
            to = base / "tree" / file.relative_to(source)
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, to)
        made = make_hostile(base / "tree", hostile, seed)
        cost = measure(
            "-m", "pipeline.cli", "run", "--config", "demo", "--data", base / "tree",
            "--workdir", base / "work", "--set", "model.weights=random",
            "--set", "model.trunk=MobileNetV2", "--set", "model.image_size=96",
            "--set", "evaluation.gate.auc.min=0.0",
        )  # fmt: skip
        records = base / "work" / "records"
        summary = json.loads((records / "dataset.json").read_text())
        written = {row["filename"] for row in read_lines(records / "manifest.jsonl")}
        rejects = {row["file"]: row["reason"] for row in read_lines(records / "rejects.jsonl")}
        wrong = [(m.path, m.expect, fate) for m, fate in wrong_fates(made, written, rejects)]
        run = json.loads((base / "work" / "run.json").read_text())
        return {
            "real": min(real, len(files)),
            "hostile": len(made),
            "kinds": len({m.kind for m in made}),
            "found": summary["found"],
            "written": summary["written"],
            "rejected": summary["rejected"],
            "skipped": sum(summary["skipped"].values()),
            "reconciles": summary["found"]
            == summary["written"] + summary["rejected"] + sum(summary["skipped"].values()),
            "reasons": dict(Counter(rejects.values()).most_common()),
            "wrong_fate": wrong,
            "nodes_run": len(run["nodes"]),
            "seconds": round(cost.wall, 1),
        }


def main() -> None:
    source = Path(sys.argv[1])
    numbers = [1000, 1000, 0]
    for i, text in enumerate(sys.argv[2:5]):
        numbers[i] = int(text)
    result = account(source, *numbers)
    print(json.dumps(result, indent=1))
    sys.exit(bool(result["wrong_fate"]) or not result["reconciles"])


if __name__ == "__main__":
    main()
