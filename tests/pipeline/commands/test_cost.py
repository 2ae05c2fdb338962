import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pipeline.commands.cost import command, size
from pipeline.config import load_config, shipped
from pipeline.scale.fit import fit_model
from pipeline.scale.model import SHAPE, Row, shipped_model
from pipeline.scale.workload import workload

ROWS = Path(__file__).parents[2] / "benchmarks" / "scale_rows.jsonl"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, list(arguments), catch_exceptions=False)


def test_the_table_names_every_step_and_the_bottlenecks() -> None:
    found = run("--images", "1000000", "--megapixels", "1.5", "--config", "xception")

    assert found.exit_code == 0
    for step in (*SHAPE, "time ", "memory ", "prices ", "measured "):
        assert step in found.output
    assert "example prices" in found.output


def test_json_adds_up() -> None:
    found = json.loads(run("--images", "50000", "--json").output)

    total = sum(step["cpu_hours"] for step in found["steps"])
    assert found["total"]["cpu_hours"] == pytest.approx(total)
    assert found["images"] == 50_000
    assert set(found["turn"]) >= {found["slowest"]["step"]}


def test_every_shipped_configuration_has_a_cost() -> None:
    model = shipped_model()

    for name in shipped():
        work = workload(load_config(name), model, 10_000, 1.0)
        assert model.predict("Embedder", "seconds", work.loads["Embedder"]) > 0


def test_the_shipped_model_was_checked_at_a_million() -> None:
    largest = [check for check in shipped_model().checks if check.images == 1_000_000]

    assert {check.step for check in largest} == {"ingest plan", "ImportExampleGen", "StatisticsGen"}
    assert all(0.5 < check.ratio < 2 for check in largest)


def test_the_shipped_model_is_what_was_fitted() -> None:
    rows = [Row.model_validate_json(line) for line in ROWS.read_text().splitlines()]
    model = shipped_model()

    again = fit_model(rows, model.measured, model.trunks, model.kib_per_megapixel)

    for step, quantities in again.coefficients.items():
        for quantity, terms in quantities.items():
            assert model.coefficients[step][quantity] == pytest.approx(terms, rel=1e-6)


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (3.21e9, "3.21 GB"), (5e18, "5e+03 PB")],
)
def test_sizes(count: float, text: str) -> None:
    assert size(count) == text
