import pytest
from tfx.types import standard_artifacts

from components.resolver.strategy import BlessedBeforeStrategy


def model(number: int) -> standard_artifacts.Model:
    artifact = standard_artifacts.Model()
    artifact.id = number
    return artifact


def blessing(of: int, blessed: int) -> standard_artifacts.ModelBlessing:
    artifact = standard_artifacts.ModelBlessing()
    artifact.set_int_custom_property("current_model_id", of)
    artifact.set_int_custom_property("blessed", blessed)
    return artifact


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
    models: list[int], blessings: list[tuple[int, int]], candidate: int, expected: int | None
) -> None:
    resolved = BlessedBeforeStrategy().resolve_artifacts(
        None,
        {
            "model": [model(i) for i in models],
            "model_blessing": [blessing(*b) for b in blessings],
            "candidate": [model(candidate)],
        },
    )
    assert [m.id for m in resolved["model"]] == ([] if expected is None else [expected])
    assert len(resolved["model_blessing"]) == len(resolved["model"])
    assert [m.id for m in resolved["candidate"]] == [candidate]
