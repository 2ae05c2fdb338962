import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import Config
from pipeline.scale.estimate import READS, TURN, estimate
from pipeline.scale.model import STEPS, read_model
from pipeline.scale.prices import Prices, read_prices
from pipeline.scale.workload import workload
from schema.errors import PneumoError
from tests.pipeline.scale.made_up import model

CONFIG = Config(name="a")


def of(images: int = 10**6, megapixels: float = 1.0, prices: Prices | None = None) -> Any:
    return estimate(
        model(), workload(CONFIG, model(), images, megapixels), prices or Prices(), 16.0
    )


def step(found: Any, name: str) -> Any:
    return next(step for step in found.steps if step.step == name)


def test_hours_bytes_and_money() -> None:
    prices = Prices(cpu_hour=2.0, gb_month=0.5, months=3.0)

    found = of(10**6, 2.0, prices)

    check, write = step(found, "ingest check"), step(found, "ingest write")
    assert check.cpu_hours == pytest.approx(1 + 2.0)  # 2e6 megapixels of 3.6 ms
    assert check.money == pytest.approx(3.0 * 2.0)
    assert write.stored_bytes == pytest.approx(10**6 * 512 * 1024)
    assert write.money == pytest.approx(10**6 * 512 * 1024 / 1e9 * 1.5)
    assert step(found, "ImportExampleGen").read_bytes == pytest.approx(write.stored_bytes)
    assert step(found, "ingest check").beyond == pytest.approx(10.0)
    assert found.total("money") == pytest.approx(sum(s.money for s in found.steps))


def test_the_trunk_goes_to_an_accelerator_where_its_speed_is_told() -> None:
    cpu, gpu = of(), of(prices=Prices(gpu_gmac_per_second=1000.0, gpu_hour=3.0))

    assert step(cpu, "Embedder").gpu_hours == 0
    moved = step(gpu, "Embedder")
    assert moved.cpu_hours == 0
    assert moved.gpu_hours == pytest.approx(850_000 * 5.0 / 1000 / 3600)
    assert moved.money == pytest.approx(moved.gpu_hours * 3.0)


def test_names_the_first_bottlenecks() -> None:
    found = of()

    assert found.slowest[0] == "Embedder"
    assert found.fullest is not None
    name, images = found.fullest
    assert (name, images) == ("ImportExampleGen", pytest.approx(15 * 1024 / 0.001, rel=1e-6))
    assert set(found.turn) == {"Embedder", "ImportExampleGen"}
    assert json.loads(json.dumps(found.to_dict()))["slowest"]["step"] == "Embedder"


def test_memory_that_does_not_grow_is_no_bottleneck() -> None:
    flat = model()
    for quantities in flat.coefficients.values():
        if "memory_mib" in quantities:
            quantities["memory_mib"] = {"fixed": 100.0}

    found = estimate(flat, workload(CONFIG, flat, 10**9, 1.0), Prices(), 16.0)

    assert found.fullest is None


def test_every_step_says_what_to_turn() -> None:
    assert set(TURN) == set(STEPS)
    assert set(READS) <= set(STEPS)
    assert set(READS.values()) <= {*STEPS, "source"}


@given(st.integers(1, 10**9), st.floats(0.01, 50), st.integers(2, 10))
def test_more_images_never_cost_less(images: int, megapixels: float, times: int) -> None:
    few, many = of(images, megapixels), of(images * times, megapixels)

    for one, other in zip(few.steps, many.steps, strict=True):
        for name in ("cpu_hours", "memory_mib", "stored_bytes", "read_bytes", "money"):
            assert getattr(other, name) >= getattr(one, name) >= 0


@pytest.mark.parametrize(
    ("changes", "step_name", "what", "value"),
    [
        ({}, "Trainer", "passes", 60),
        ({"training": {"seeds": [1, 2, 3], "epochs": 10}}, "Trainer", "passes", 30),
        ({}, "Embedder", "passes", 1),
        ({"training": {"embedding": {"views": 17}}}, "Embedder", "passes", 1 + 17 * 70 / 85),
        ({}, "Scorer", "images", 150),
        ({"data": {"ingest": {"test_fraction": 0.5}}}, "Scorer", "images", 500),
        ({"model": {"image_size": 150}}, "Embedder", "gmac", 5.0 * (150 / 299) ** 2),
        ({"model": {"trunk": "Xception"}}, "Evaluator", "gmac", 8.0),
    ],
)
def test_the_configuration_sets_the_work(
    changes: dict[str, Any], step_name: str, what: str, value: float
) -> None:
    work = workload(Config(name="a", **changes), model(), 1000, 1.0)

    assert getattr(work.loads[step_name], what) == pytest.approx(value)


@pytest.mark.parametrize(
    ("images", "megapixels", "kib"), [(0, 1.0, None), (1, 0.0, None), (1, 1.0, 0.0)]
)
def test_numbers_out_of_range(images: int, megapixels: float, kib: float | None) -> None:
    with pytest.raises(PneumoError, match="--images must be 1 or more"):
        workload(CONFIG, model(), images, megapixels, kib)


def test_a_trunk_that_is_not_known() -> None:
    with pytest.raises(PneumoError, match="does not know trunk VGG16"):
        workload(Config(name="a", model={"trunk": "VGG16"}), model(), 1, 1.0)


def test_what_is_left_out_is_said() -> None:
    work = workload(Config(name="a", training={"fine_tune": {}}), model(), 1, 1.0)

    assert any("fine-tuning" in note for note in work.notes)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("cpu_hour: -1", "cpu_hour"),
        ("cpu_hours: 1", "keys: currency, cpu_hour"),
        ("gpu_gmac_per_second: 0", "gpu_gmac_per_second"),
        ("- a", "is no table"),
        ("a: [", "is no table"),
    ],
)
def test_wrong_prices_are_one_line(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "prices.yaml"
    file.write_text(text)

    with pytest.raises(PneumoError) as caught:
        read_prices(file)

    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_prices(tmp_path: Path) -> None:
    assert "example" in read_prices(None).source
    file = tmp_path / "prices.yaml"
    file.write_text("cpu_hour: 0.5\ncurrency: EUR\n")
    assert (read_prices(file).cpu_hour, read_prices(file).currency) == (0.5, "EUR")
    with pytest.raises(PneumoError, match="can't be read"):
        read_prices(tmp_path / "none.yaml")


def test_a_model_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text("{}")

    with pytest.raises(PneumoError, match="can't be read"):
        read_model(tmp_path / "m.json")
