"""Answers about results. The numbers are the report's; nothing is computed again."""

from typing import Any

from components.model_card.data import Facts, Told, interval, number
from components.model_card.limits import limits

_CLASS_NUMBERS = ("class_accuracy", "macro_auc", "pairwise_auc")
_BOX_NUMBERS = ("challenge", "box_ap", "froc", "pointing")


def metrics(f: Facts) -> dict[str, dict[str, Any]]:
    """All numbers on the whole test split: of the score, of more than two classes, of boxes."""
    of_classes = f.part("report", "classes_on_test").get("metrics") or {}
    return {**f.part("report", "metrics"), **of_classes, **box_metrics(f)}


def box_metrics(f: Facts) -> dict[str, dict[str, Any]]:
    """Numbers of boxes on the whole test split; empty where the model predicts none."""
    found = f.part("report", "boxes").get("metrics") or {}
    return {name: value for name, value in found.items() if "/" not in name}


def summary(f: Facts) -> Told | None:
    """One sentence."""
    found, test = metrics(f), f.part("report", "test")
    if not found or not f.training:
        return None
    where = f"challenge score {interval(found['challenge'])}, " if "challenge" in found else ""
    return Told(
        f"{f.training['trunk']} for task {f.task.name}: {where}AUC {interval(found.get('auc'))}, "
        f"accuracy {interval(found.get('accuracy'))} on {test.get('images', '?')} test images of "
        f"{test.get('patients', '?')} patients, with 95 % intervals by patient",
        "report.json",
    )


def which_metrics(f: Facts) -> Told | None:
    """Names of what was measured."""
    found = metrics(f)
    names = ", ".join(name.replace("_", " ") for name in found if "/" not in name)
    return Told(names, "report.json") if found else None


def uncertainty(f: Facts) -> Told | None:
    """How intervals came about."""
    bootstrap = f.part("report", "bootstrap")
    if not bootstrap:
        return None
    tests = (f.decision or {}).get("tests") or []
    against = "; ".join(
        f"against the blessed model, {test['metric']}: {test['method']}, one-sided p "
        f"{number(test['p_worse'])}"
        for test in tests
    )
    members = f.part("report", "members").get("metrics") or {}
    auc = members.get("auc") or {}
    if len(auc.get("values") or []) > 1:
        against += (
            f"; over {len(auc['values'])} seeds AUC {number(auc.get('mean'))} "
            f"({number(auc.get('low'))} to {number(auc.get('high'))})"
        )
    return Told(
        f"95 % percentile intervals from {bootstrap.get('resamples')} resamples of whole patients, "
        f"seed {bootstrap.get('seed')}; exact bounds where a share is 0 or 1"
        + (f"; {against.lstrip('; ')}" if against else ""),
        "report.json" + (", decision.json" if tests else ""),
    )


def slices(f: Facts) -> list[dict[str, Any]]:
    """Rows of the report: `feature`, `value`, `images`, `patients`, `metrics`."""
    found = (f.report or {}).get("slices")
    return [row for row in found if "metrics" in row] if isinstance(found, list) else []


def robustness(f: Facts) -> Told | None:
    """Slices by anything but the class."""
    features = sorted({str(row["feature"]) for row in slices(f)} - {"pathogen", "class"})
    if not features:
        return None
    return Told(f"Results by {', '.join(features)}: see the table of slices", "report.json")


def heterogeneity(f: Facts) -> Told | None:
    """Results by the batch that file names show."""
    rows = [row for row in slices(f) if row["feature"] == "source"]
    if not rows:
        return None
    told = "; ".join(
        f"{row['value']}: accuracy {interval(row['metrics'].get('accuracy'))}" for row in rows
    )
    return Told(f"By the source that file names show: {told}", "report.json")


def performance(f: Facts) -> Told | None:
    """Headline numbers with intervals."""
    found = metrics(f)
    names = ("auc", "accuracy", "sensitivity", "specificity", *_CLASS_NUMBERS, *_BOX_NUMBERS)
    told = "; ".join(
        f"{name.replace('_', ' ')} {interval(found[name])}" for name in names if name in found
    )
    return Told(told, "report.json") if told else None


def failures(f: Facts) -> Told | None:
    """Counts of wrong answers."""
    c = f.part("report", "confusion")
    if not {"tp", "fp", "fn", "tn"} <= set(c):
        return None
    b = f.part("report", "boxes").get("counts") or {}
    boxes = (
        f"; of {b['opacities']} marked opacities {b['opacities'] - b['found']} were not boxed, and "
        f"{b['disturbed']} of {b['without']} images without one show a box"
        if b
        else ""
    )
    return Told(
        f"At the operating point {c['fn']} of {c['fn'] + c['tp']} positives were missed and "
        f"{c['fp']} of {c['fp'] + c['tn']} negatives raised a false alarm{boxes}; the report shows "
        "the most confident mistakes",
        "report.json",
    )


def internal(f: Facts) -> Told | None:
    """The test split."""
    test = f.part("report", "test")
    if not test:
        return None
    return Told(
        f"Test split of the same data: {test.get('images')} images of {test.get('patients')} "
        "patients, read after everything was chosen",
        "report.json",
    )


def external(f: Facts) -> Told | None:
    """A run has one source."""
    if not f.report:
        return None
    return Told("None in this run: train, validation and test have one source", "report.json")


def known_limits(f: Facts) -> Told | None:
    """The limits that the facts show."""
    return Told(" ".join(limits(f)), "all files of the run")
