import json
from pathlib import Path

import pytest
from tfx.types import standard_artifacts

from components.baseline.strategy import BlessedBeforeStrategy
from schema.labels import BINARY, THREE_CLASS, Task


def model(
    folder: Path, number: int, name: str = "a", task: Task = BINARY
) -> standard_artifacts.Model:
    artifact = standard_artifacts.Model()
    artifact.id, artifact.uri = number, str(folder / str(number))
    extra = Path(artifact.uri) / "Format-Serving" / "assets.extra"
    extra.mkdir(parents=True, exist_ok=True)
    (extra / "pneumo.json").write_text(json.dumps({"name": name, "task": task.to_dict()}))
    return artifact


def blessing(
    model_id: int, blessed: int, gate: int = 1, number: int = 0
) -> standard_artifacts.ModelBlessing:
    artifact = standard_artifacts.ModelBlessing()
    artifact.id = number
    artifact.set_int_custom_property("current_model_id", model_id)
    artifact.set_int_custom_property("blessed", blessed)
    if gate:
        artifact.set_int_custom_property("gate", gate)
    return artifact


def resolve(
    models: list[standard_artifacts.Model],
    blessings: list[standard_artifacts.ModelBlessing],
    candidate: standard_artifacts.Model,
) -> int | None:
    resolved = BlessedBeforeStrategy().resolve_artifacts(
        None, {"model": models, "model_blessing": blessings, "candidate": [candidate]}
    )
    assert len(resolved["model_blessing"]) == len(resolved["model"])
    assert resolved["candidate"] == [candidate]
    for found, verdict in zip(resolved["model"], resolved["model_blessing"], strict=True):
        assert verdict.get_int_custom_property("current_model_id") == found.id
    return resolved["model"][0].id if resolved["model"] else None


@pytest.mark.parametrize(
    ("models", "blessings", "candidate", "expected"),
    [
        ([], [], 9, None),
        ([9], [], 9, None),
        ([9], [(9, 1)], 9, None),  # a second run: the candidate is no baseline of itself
        ([3, 9], [(3, 1)], 9, 3),
        ([3, 5, 9], [(3, 1), (5, 1)], 9, 5),
        ([3, 5, 9], [(3, 1), (5, 0)], 9, 3),
        ([3, 5, 9], [(3, 1), (9, 1)], 5, 3),  # what came later is no baseline
        ([3, 9], [(3, 0)], 9, None),
    ],
)
def test_baseline(
    models: list[int],
    blessings: list[tuple[int, int]],
    candidate: int,
    expected: int | None,
    tmp_path: Path,
) -> None:
    found = resolve(
        [model(tmp_path, i) for i in models],
        [blessing(*b) for b in blessings],
        model(tmp_path, candidate),
    )
    assert found == expected


def test_only_the_gate_blesses(tmp_path: Path) -> None:
    models = [model(tmp_path, 3), model(tmp_path, 5)]
    candidate = model(tmp_path, 9)
    assert resolve(models, [blessing(3, 1), blessing(5, 1, gate=0)], candidate) == 3
    assert resolve(models, [blessing(5, 1, gate=0)], candidate) is None


@pytest.mark.parametrize(("first", "last", "expected"), [(1, 0, None), (0, 1, 3)])
def test_the_latest_verdict_counts(
    first: int, last: int, expected: int | None, tmp_path: Path
) -> None:
    verdicts = [blessing(3, last, number=8), blessing(3, first, number=7)]
    assert resolve([model(tmp_path, 3)], verdicts, model(tmp_path, 9)) == expected


def test_only_models_of_the_same_configuration_and_task(tmp_path: Path) -> None:
    models = [
        model(tmp_path, 2),
        model(tmp_path, 3, task=THREE_CLASS),
        model(tmp_path, 4, name="b"),
        model(tmp_path, 5, name="b", task=THREE_CLASS),
    ]
    blessings = [blessing(artifact.id, 1) for artifact in models]
    assert resolve(models, blessings, model(tmp_path, 9)) == 2
    assert resolve(models, blessings, model(tmp_path, 10, name="b")) == 4
    assert resolve(models, blessings, model(tmp_path, 11, task=THREE_CLASS)) == 3
    assert resolve(models, blessings, model(tmp_path, 12, name="c")) is None


@pytest.mark.parametrize("text", [None, "", "[]", "{}", '{"name": "a"}'])
def test_a_model_without_valid_facts_is_no_baseline(text: str | None, tmp_path: Path) -> None:
    models = [model(tmp_path, 3), model(tmp_path, 5)]
    file = Path(models[1].uri) / "Format-Serving" / "assets.extra" / "pneumo.json"
    file.unlink() if text is None else file.write_text(text)
    blessings = [blessing(3, 1), blessing(5, 1)]
    assert resolve(models, blessings, model(tmp_path, 9)) == 3
    assert resolve(models[:1], blessings, models[1]) is None  # nor a candidate


def test_without_a_candidate_there_is_nothing_to_resolve(tmp_path: Path) -> None:
    found = BlessedBeforeStrategy().resolve_artifacts(
        None, {"model": [model(tmp_path, 3)], "model_blessing": [], "candidate": []}
    )
    assert found["model"] == []
