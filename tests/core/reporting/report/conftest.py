from typing import NamedTuple

import pytest

from core.reporting.report.data import ReportData
from core.reporting.report.page import draw_figures, render_report
from core.reporting.report.results import report_results
from schema.labels import BINARY, THREE_CLASS
from tests.core.reporting.report.artificial_report import full_report


class Report(NamedTuple):
    """A report with every part, computed once; figures take most of the time."""

    data: ReportData
    numbers: dict
    figures: dict[str, bytes]
    page: str


@pytest.fixture(scope="session", params=[BINARY, THREE_CLASS], ids=lambda of: of.name)
def report(request: pytest.FixtureRequest) -> Report:
    data = full_report(request.param)
    numbers = report_results(data)
    figures = draw_figures(data, numbers)
    return Report(data, numbers, figures, render_report(data, numbers, figures))


@pytest.fixture(scope="session")
def figures() -> dict[str, bytes]:
    """Every figure that a page may show, for tests of the text."""
    names = (
        "loss",
        "accuracy",
        "roc",
        "pr",
        "confusion",
        "decision_curve",
        "calibration",
        "prevalence",
        "coverage",
        "class_roc",
        "class_confusion",
        "froc",
        "box_pr",
        "shift",
        "stress_test",
    )
    return dict.fromkeys(names, b"")


@pytest.fixture
def render(figures: dict[str, bytes]):
    """Returns a function that computes the numbers and renders the page without new figures."""

    def page(data: ReportData) -> tuple[str, dict]:
        numbers = report_results(data)
        hidden = () if data.histories else ("loss", "accuracy")
        shown = {name: src for name, src in figures.items() if name not in hidden}
        return render_report(data, numbers, shown), numbers

    return page
