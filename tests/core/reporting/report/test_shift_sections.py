"""Sections on data that differ: stress test and shifted validation."""

import re
from dataclasses import replace
from typing import Any

import pytest

from core.reporting.report.data import ReportData
from tests.core.reporting.report.artificial_report import full_report
from tests.support.pages import read
from tests.support.stress_test import synthetic_stress_test

DATA = full_report()


@pytest.mark.parametrize(
    ("noise", "expected"), [(0.0, "less than the bar of 0.02"), (9.0, "At a moderate level AUC")]
)
def test_the_stress_test_is_compared_with_its_bar(noise: float, expected: str, render: Any) -> None:
    results = synthetic_stress_test(noise)
    page, numbers = render(ReportData(name="few", resamples=10, stress_test=results))
    text = re.sub(r"\s+", " ", read(page).text)
    assert expected in text
    assert numbers["stress_test"] == results
    assert f"{results['images']} of {results['labeled']} labeled validation images" in text
    assert page.count("<td>JPEG</td>") == 6


def test_shifted_validation_is_beside_validation(render: Any) -> None:
    page, numbers = render(DATA)
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page))
    shifted = numbers["shifted_validation"]
    for part in ("ordinary", "mean"):
        auc = shifted[part]["metrics"]["auc"]
        assert f"{auc['estimate']:.3f} ({auc['low']:.3f} to {auc['high']:.3f})" in text
    assert all(fold["name"] in text for fold in shifted["folds"])


def test_shifted_validation_without_a_fold(render: Any) -> None:
    skipped = {"name": "NORMAL of other", "reason": "3 images are fewer than 20"}
    page, _ = render(replace(DATA, shifted={"folds": [], "skipped": [skipped]}))
    assert "has no fold: NORMAL of other (3 images are fewer than 20)." in page
