"""Made-up answers of a model, for tests."""

import json
from pathlib import Path

import numpy as np

from core.predictions import table
from core.predictions.predictions import Answers
from schema.labels import BINARY, Task


def answers(
    n: int,
    seed: int = 0,
    *,
    of: Task = BINARY,
    skill: float = 2.0,
    members: int = 1,
    threshold: float = 0.5,
    band: tuple[float, float] | None = None,
    unknown: bool = False,
    luck: int = 0,
) -> Answers:
    """Answers of known skill; the same `seed` gives the same images, `luck` another model."""
    rng = np.random.default_rng(seed)
    kinds = np.array(["normal", "bacteria", "virus"] + (["unknown"] if unknown else []))
    if of.label("normal") < 0:
        kinds = kinds[1:]
    pathogen = kinds[np.arange(n) % len(kinds)]
    truth = np.array([rng.choice(of.compatible[name]) for name in pathogen], int)
    common = rng.normal(0, 1, (n, 1, len(of.classes)))
    own = np.random.default_rng([seed, luck]).normal(0, 0.4, (n, members, len(of.classes)))
    hint = np.eye(len(of.classes))[truth].reshape(n, 1, len(of.classes))
    raised = np.exp(skill * hint + common + own)
    each = raised / raised.sum(axis=2, keepdims=True)
    raw = each.mean(axis=1)
    calm = raw ** (1 / 1.25)
    probabilities = calm / calm.sum(axis=1, keepdims=True)
    return Answers(
        of=of,
        threshold=threshold,
        band=band,
        temperature=1.25,
        sha256=np.array([f"id{i}" for i in range(n)], str),
        filename=np.array([f"test/image{i}.jpeg" for i in range(n)], str),
        patient=np.array([f"patient{i // 2}" for i in range(n)], str),
        pathogen=pathogen.astype(str),
        source=np.where(pathogen == "normal", "IM", "person").astype(str),
        height=rng.integers(300, 2000, n),
        width=rng.integers(400, 2500, n),
        brightness=rng.uniform(80, 160, n),
        label=np.array([of.label(name) for name in pathogen], np.int64),
        positive=np.array([of.is_positive(name) for name in pathogen], np.int64),
        score=probabilities[:, list(of.positive)].sum(axis=1).clip(0, 1),
        probabilities=probabilities,
        raw=raw,
        members=each,
    )


def store(given: Answers, folder: Path, name: str = table.FILE) -> None:
    """Writes answers as the Scorer does."""
    own = {"patient_id": "patient"}  # columns whose attribute has another name
    names = [name for name in table.schema().names if name not in table.BOXES]
    rows = {name: getattr(given, own.get(name, name)) for name in names}
    rows["members"] = given.members.reshape(len(given), -1) if len(given) else given.raw
    folder.mkdir(parents=True, exist_ok=True)
    columns = {key: value.tolist() for key, value in rows.items()}
    for key in table.BOXES:
        columns[key] = [row.ravel().tolist() for row in getattr(given, key)]
    table.write(folder / name, iter([columns]))
    facts = {
        "task": given.of.to_dict(),
        "threshold": given.threshold,
        "band": given.band,
        "temperature": given.temperature,
    }
    if given.box_threshold is not None:
        facts["boxes"] = {"kind": "detector", "threshold": given.box_threshold}
    (folder / name).with_suffix(".json").write_text(json.dumps(facts))
