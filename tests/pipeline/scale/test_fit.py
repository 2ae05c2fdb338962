from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.scale.fit import fit_model, fit_terms, without_held
from pipeline.scale.load import TERMS
from pipeline.scale.model import QUANTITIES, SECONDS, SHAPE, Row
from schema.errors import PneumoError

SIZES = [(1e3, 0.01), (1e4, 0.01), (1e5, 0.01), (1e3, 1.0), (300.0, 4.0)]


def rows(coefficients: dict[str, float], noise: float = 0.0) -> list[Row]:
    rng = np.random.default_rng(0)
    made = []
    for images, megapixels in SIZES:
        row = Row(step="ingest check", images=images, megapixels=megapixels)
        seconds = sum(value * TERMS[term](row.load) for term, value in coefficients.items())
        made.append(row.model_copy(update={"seconds": seconds * (1 + noise * rng.normal())}))
    return made


@given(st.floats(0.01, 100), st.floats(1e-5, 1e-2), st.floats(1e-4, 1e-1))
def test_finds_what_was_planted(fixed: float, image: float, megapixel: float) -> None:
    planted = {"fixed": fixed, "image": image, "megapixel": megapixel}

    found = fit_terms(rows(planted), SECONDS, tuple(planted))

    assert found == pytest.approx(planted, rel=1e-3)


def test_no_cost_is_negative() -> None:
    """Noise that asks for a negative start gets none."""
    planted = {"fixed": 0.0, "image": 1e-3, "megapixel": 1e-2}

    found = fit_terms(rows(planted, 0.2), SECONDS, ("fixed", "image", "megapixel", "sort"))

    assert all(value >= 0 for value in found.values())


def test_nothing_measured() -> None:
    with pytest.raises(PneumoError, match="no measurement of seconds"):
        fit_terms([], SECONDS, ("fixed",))


def every_step(**changes: Any) -> list[Row]:
    return [
        Row(step=step, images=n, seconds=n / 100, memory_mib=100 + n / 1000, stored_bytes=n * 10)
        for step in SHAPE
        for n in (1e3, 1e4, 1e5)
    ]


def test_what_is_held_checks_a_fit_without_it() -> None:
    held = Row(step="Scorer", images=1e6, seconds=5000.0, held=True)  # half of what it should be
    rows = [*every_step(), held]

    model = fit_model(rows, {}, {}, 100.0)

    (check,) = model.checks
    assert (check.step, check.quantity) == ("Scorer", SECONDS)
    assert check.ratio == pytest.approx(2.0)  # as if it had not been measured
    assert (
        without_held(model, rows).coefficients
        == fit_model(every_step(), {}, {}, 100.0).coefficients
    )
    # What is shipped knows it.
    assert model.predict("Scorer", SECONDS, held.load) < 9000
    assert model.largest["Scorer"] == 1e6
    assert model.spread["Embedder"][SECONDS] < 1e-6 < model.spread["Scorer"][SECONDS]


def test_a_step_that_was_not_measured() -> None:
    with pytest.raises(PneumoError, match="Scorer: no measurement"):
        fit_model([r for r in every_step() if r.step != "Scorer"], {}, {}, 100.0)


def test_terms_are_known() -> None:
    for shape in SHAPE.values():
        assert set(shape) <= set(QUANTITIES)
        for terms in shape.values():
            assert set(terms) <= set(TERMS)
