"""Fits the cost model to measurements: least squares of relative errors, no negative cost."""

from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.scale.load import TERMS
from pipeline.scale.model import QUANTITIES, SHAPE, Check, CostModel, Row
from schema.errors import PneumoError


def fit_terms(rows: Sequence[Row], quantity: str, terms: Sequence[str]) -> dict[str, float]:
    """Coefficients of one quantity of one step.

    Minimises the sum of (predicted / measured - 1)^2 over coefficients of 0 or more (Lawson and
    Hanson 1974), so that a run of 1,000 images counts as much as one of 100,000.

    Args:
      rows: measurements that have the quantity, above 0.
      quantity: name of the attribute.
      terms: names of TERMS.

    Returns:
      term -> coefficient.

    Raises:
      PneumoError: there are no rows.
    """
    from scipy.optimize import nnls

    if not rows:
        raise PneumoError(f"no measurement of {quantity}; run more sizes")
    measured = np.array([getattr(row, quantity) for row in rows], float)
    design = np.array([[TERMS[term](row.load) for term in terms] for row in rows], float)
    relative = design / measured[:, None]
    # Terms differ by many powers of ten; scaled, the solver sees them alike.
    scale = np.abs(relative).max(axis=0)
    scale[scale == 0] = 1.0
    found, _ = nnls(relative / scale, np.ones(len(rows)))
    return {term: float(value) for term, value in zip(terms, found / scale, strict=True)}


def fit_model(
    rows: Sequence[Row],
    measured: Mapping[str, str],
    trunks: Mapping[str, tuple[int, float, int]],
    kib_per_megapixel: float,
) -> CostModel:
    """Fits every step.

    Rows that are `held` check a fit without them; then all rows together give the coefficients.

    Args:
      rows: measurements.
      measured: facts of the machine.
      trunks: see CostModel.
      kib_per_megapixel: see CostModel.

    Raises:
      PneumoError: a step has no row to fit.
    """
    model = CostModel(
        measured=dict(measured),
        largest={
            step: max((r.images for r in rows if r.step == step), default=0.0) for step in SHAPE
        },
        coefficients=coefficients_of(rows),
        spread={},
        checks=[],
        trunks=dict(trunks),
        kib_per_megapixel=kib_per_megapixel,
    )
    checks = _checks(without_held(model, rows), rows)
    return model.model_copy(update={"checks": checks, "spread": _spread(model, rows)})


def without_held(model: CostModel, rows: Sequence[Row]) -> CostModel:
    """The same model fitted to what is not held: what it would have predicted."""
    known = [row for row in rows if not row.held]
    return model.model_copy(update={"coefficients": coefficients_of(known)})


def coefficients_of(rows: Sequence[Row]) -> dict[str, dict[str, dict[str, float]]]:
    """Step -> quantity -> term -> coefficient.

    Raises:
      PneumoError: a step was not measured.
    """
    found: dict[str, dict[str, dict[str, float]]] = {}
    for step, shape in SHAPE.items():
        found[step] = {}
        for quantity, terms in shape.items():
            known = [row for row in rows if row.step == step and getattr(row, quantity)]
            if not known:
                raise PneumoError(f"{step}: no measurement of {quantity}; run more sizes")
            found[step][quantity] = fit_terms(known, quantity, terms)
    return found


def _checks(model: CostModel, rows: Sequence[Row]) -> list[Check]:
    return [
        Check(
            step=row.step,
            quantity=quantity,
            images=row.images,
            predicted=model.predict(row.step, quantity, row.load),
            measured=getattr(row, quantity),
        )
        for row in rows
        for quantity in QUANTITIES
        if row.held and quantity in SHAPE[row.step] and getattr(row, quantity)
    ]


def _spread(model: CostModel, rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for row in rows:
        for quantity in SHAPE[row.step]:
            value = getattr(row, quantity)
            if not value:
                continue
            off = abs(model.predict(row.step, quantity, row.load) / value - 1)
            of_step = found.setdefault(row.step, {})
            of_step[quantity] = max(off, of_step.get(quantity, 0.0))
    return found
