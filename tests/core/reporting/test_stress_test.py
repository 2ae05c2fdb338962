from typing import Any

import pytest

from core.reporting.stress_test import stress_test_drops
from tests.support.stress_test import synthetic_stress_test


def without(results: dict[str, Any], key: str) -> dict[str, Any]:
    """Sets a value of every drop of AUC to None, as for a missing class."""
    for row in results["corruptions"]:
        row["drops"]["auc"][key] = None
    return results


@pytest.mark.parametrize(
    "results",
    [
        synthetic_stress_test(),
        synthetic_stress_test(noise=0.0),
        synthetic_stress_test(noise=30.0),
        without(synthetic_stress_test(), "estimate"),
        without(synthetic_stress_test(), "low"),
        synthetic_stress_test() | {"corruptions": []},
    ],
    ids=["some drops", "no drop", "large drops", "undefined", "no interval", "no corruption"],
)
def test_a_figure_of_any_results(results: dict[str, Any]) -> None:
    drawn = stress_test_drops(results)
    assert drawn.startswith(b"\x89PNG")
    assert drawn == stress_test_drops(results)
