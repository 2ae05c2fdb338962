"""The page of a comparison and its numbers."""

from collections.abc import Sequence
from pathlib import Path

from core.metrics import registry
from core.metrics.binary import expected_calibration_error
from core.reporting import figures
from core.reporting.compare.binary_problems import binary_problems
from core.reporting.compare.results import comparison_results
from core.reporting.compare.runs import FinishedRun, evaluated
from core.reporting.radiographs import thumbnail
from core.reporting.records import read_images
from core.reporting.rendering import data_uri, render, write_page


def write_comparison(
    runs: Sequence[FinishedRun],
    failed: Sequence[dict[str, str]],
    work: Path,
    resamples: int = 2000,
) -> tuple[Path, Path]:
    """Writes `compare.html` and `compare.json` to the work folder, each atomically.

    Returns:
      paths of the page and of the numbers.
    """
    numbers = comparison_results(runs, failed, work / "metadata.sqlite", resamples)
    sha256s = {row["sha256"] for q in numbers["questions"] for row in q["disputed"]}
    page = render(
        "compare.html.j2",
        numbers=numbers,
        pictures=draw(runs),
        images=thumbnails(runs[0].records, sha256s),
        score_metrics=registry.COMPARED,
        box_headline=registry.BOX_HEADLINE,
    )
    return write_page(work, "compare", numbers, page)


def draw(runs: Sequence[FinishedRun]) -> dict[str, dict[str, str]]:
    """Returns title of the problem -> `roc` and `calibration` as data URIs."""
    order = [run.name for run in runs]  # a configuration has one color on the whole page
    drawn = {}
    for problem in binary_problems(evaluated(runs)):
        roc, calibration = [], []
        for name, score in problem.test.items():
            style = figures.style(order.index(name))
            error = expected_calibration_error(score.label, score.score)
            roc.append(figures.Line(name, score.label, score.score, score.threshold, *style))
            calibration.append(
                figures.Line(f"{name}, error {error:.3f}", score.label, score.score, None, *style)
            )
        drawn[problem.title] = {
            "roc": data_uri(figures.roc(roc)),
            "calibration": data_uri(figures.calibration(calibration)),
        }
    return drawn


def thumbnails(records: Path, sha256s: set[str]) -> dict[str, str | None]:
    """Returns id -> thumbnail of test images."""
    files = sorted(records.glob("test-*.tfrecord"))
    return {name: thumbnail(content, 200) for name, content in read_images(files, sha256s)}
