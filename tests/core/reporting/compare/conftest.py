"""Artificial runs in a shared work folder, in the forms that the nodes write."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core.predictions import table
from core.reporting.compare.runs import RUN, configuration_folder
from schema import features as f
from schema.example import encode
from schema.labels import BINARY, Task
from schema.tfrecord import frame
from tests.core.reporting.compare.made import Make
from tests.support.images.synthetic import encode as encode_image
from tests.support.images.synthetic import gray

BOX = [0.2, 0.2, 0.6, 0.6]
PATHOGENS = ("normal", "bacteria", "virus", "normal", "bacteria", "unknown")


def rows(of: Task, n: int, seed: int, skill: float, prefix: str) -> dict[str, list[Any]]:
    """Columns of core.predictions.table for n images, two of each patient."""
    rng = np.random.default_rng(seed)
    pathogens = [PATHOGENS[i // 2 % len(PATHOGENS)] for i in range(n)]
    columns: dict[str, list[Any]] = {name: [] for name in table.schema().names}
    for i, pathogen in enumerate(pathogens):
        logits = rng.normal(0, 1, len(of.classes))
        marked = int(of.located and pathogen != "normal")
        known = (marked,) if of.located else of.compatible.get(pathogen, (0,))
        logits[list(known)] += skill
        p = np.exp(logits) / np.exp(logits).sum()
        values = {
            "sha256": f"{prefix}{i}",
            "filename": f"{prefix}/{i:03d}.jpeg",
            "patient_id": f"{prefix}-{i // 2}",
            "pathogen": pathogen,
            "source": "person",
            "height": 61,
            "width": 83,
            "brightness": 120.0,
            "label": of.class_of(pathogen, marked),
            "positive": of.binary_label(pathogen, marked),
            "score": float(p[list(of.positive)].sum()),
            "probabilities": p.tolist(),
            "raw": p.tolist(),
            "members": p.tolist(),
            "truth_boxes": BOX * marked,
            "boxes": BOX if of.located else [],
            "box_scores": [float(p[1])] if of.located else [],
        }
        for name, value in values.items():
            columns[name].append(value)
    return columns


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Returns a function that adds a finished run and returns the work folder."""
    work = tmp_path / "work"
    records = tmp_path / "records"

    def ingest() -> None:
        records.mkdir()
        facts = {"synthetic": False}
        (records / "dataset.json").write_text(json.dumps(facts))
        picture = encode_image(Image.fromarray(gray()), "JPEG")
        with (records / "test-00000-of-00001.tfrecord").open("wb") as out:
            for i in range(24):
                values = {f.IMAGE_SHA256: f"test{i}", f.IMAGE_ENCODED: picture}
                out.write(frame(encode(values)))

    def run(
        name: str,
        of: Task = BINARY,
        seed: int = 0,
        skill: float = 2.0,
        n: int = 24,
        prefix: str = "test",
        threshold: float = 0.5,
        val_skill: float | None = None,
        cached: tuple[str, ...] = (),
        weights: str = "file",
    ) -> Path:
        if not records.exists():
            ingest()
        number = str(len(list(work.glob("compare/*"))) + 10)
        at = {
            (node, key): work / "artifacts" / node / key / number
            for node, key in (
                ("Trainer", "model"),
                ("Trainer", "model_run"),
                ("Scorer", "predictions"),
                ("Embedder", "embeddings"),
            )
        }
        for folder in at.values():
            folder.mkdir(parents=True)
        scored, trained = at["Scorer", "predictions"], at["Trainer", "model_run"]
        table.write(scored / table.FILE, iter([rows(of, n, seed, skill, prefix)]))
        told = {"task": of.to_dict(), "threshold": threshold, "band": None, "temperature": 1.0}
        if of.located:
            told["boxes"] = {"kind": "detector", "threshold": 0.5}
        (scored / "predictions.json").write_text(json.dumps(told))
        known = skill if val_skill is None else val_skill
        table.write(
            trained / "val_predictions.parquet", iter([rows(of, 60, seed + 99, known, "val")])
        )
        training = {
            "backbone": "Xception",
            "image_size": 224,
            "fine_tune": None,
            "seeds": [seed],
            "weights": {"kind": weights},
            "parameters": {"trainable": 7, "total": 1007},
        }
        (trained / "training.json").write_text(json.dumps(training))
        (at["Trainer", "model"] / "variables").mkdir()
        (at["Trainer", "model"] / "variables" / "data").write_bytes(b"x" * 3 * 2**19)
        nodes = [
            {
                "name": node,
                "seconds": seconds,
                "cached": node in cached,
                "peak_rss_mib": 900 + i,
                "outputs": {
                    key: [str(folder)] for (of_node, key), folder in at.items() if of_node == node
                },
                "properties": {},
            }
            for i, (node, seconds) in enumerate(
                (("Embedder", 100.0), ("Trainer", 20.5), ("Scorer", 3.0))
            )
        ]
        folder = configuration_folder(work, name)
        folder.mkdir(parents=True)
        (folder / RUN).write_text(json.dumps({"nodes": nodes, "records": str(records)}))
        return work

    return run
