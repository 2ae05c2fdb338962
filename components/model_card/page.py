"""The card: one HTML file that needs nothing else, and the same as JSON."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from components.model_card.about_model import digest, rule
from components.model_card.about_results import metrics, slices
from components.model_card.data import Facts, interval, number
from components.model_card.limits import limits
from components.model_card.questions import fill
from components.report.data import DISCLAIMER, SYNTHETIC
from components.report.plain import plain
from components.report.templating import environment
from schema.files import write_atomically

_SHOWN = ("challenge", "auc", "accuracy", "sensitivity", "specificity")
_IN_SLICES = ("auc", "sensitivity", "specificity", "accuracy", "class_accuracy")


def card(facts: Facts) -> dict[str, Any]:
    """Everything on the card; plain values, ready for JSON."""
    items = fill(facts)
    training, report = facts.training or {}, facts.report or {}
    weights = training.get("weights") or {}
    return plain(
        {
            "name": facts.config.get("name") or "",
            "disclaimer": DISCLAIMER,
            "notices": notices(facts),
            "task": facts.task.to_dict(),
            "trunk": training.get("trunk"),
            "weights": {
                **weights,
                "file": Path(weights.get("file") or "").name,
                "digest": digest(weights),
            },
            "test": report.get("test"),
            "dataset": _dataset(facts),
            "rejects": facts.rejects,
            "leakage": (facts.leakage or {}).get("counts"),
            "protocol": protocol(facts),
            "metrics": metrics(facts),
            "slices": slices(facts),
            "calibration": _calibration(facts),
            "decision": facts.decision,
            "limits": limits(facts),
            "known": sum(item.known for item in items),
            "items": [asdict(item) for item in items],
            "lineage": facts.lineage,
            "run": facts.run,
        }
    )


def notices(facts: Facts) -> list[str]:
    """Lines that must stand first."""
    said = []
    if facts.dataset and facts.dataset.get("synthetic"):
        said.append(SYNTHETIC)
    if facts.part("training", "weights").get("kind") == "random":
        said.append("RANDOM WEIGHTS: the trunk had learned nothing before; no transfer learning.")
    return said


def protocol(facts: Facts) -> list[dict[str, str]]:
    """Rows `what`, `how`, `on`: what was chosen, and on which split, in order of time."""
    if not facts.training:
        return []
    members = facts.training.get("members") or []
    fixed = facts.part("training", "calibration")
    epochs = ", ".join(str(member["best_epoch"]) for member in members)
    band = fixed.get("band")
    search = facts.config.get("tuner")
    chosen = [
        ("weights of the network", "training", "train"),
        ("epoch" if len(members) < 2 else "epoch of each member", f"least loss: {epochs}", "val"),
        ("temperature", f"least log loss: {number(fixed.get('temperature'))}", "val"),
        ("operating point", f"{rule(fixed)}: {number(fixed.get('threshold'))}", "val"),
        (
            "abstention band",
            f"{number(band[0])} to {number(band[1])}" if band else "none asked for",
            "val",
        ),
        ("nothing", "opened after all of the above, once for this model", "test"),
    ]
    if boxes := facts.part("report", "boxes").get("chosen"):
        how = f"best challenge score: {number(boxes.get('threshold'))}, sides times "
        how += f"{number(boxes.get('shrink'))}, score by {boxes.get('combine')}"
        chosen.insert(-1, ("threshold, size and score of boxes", how, "val"))
    if search:
        chosen.insert(0, ("head and optimiser", f"search of {search.get('trials')} trials", "val"))
    return [{"what": what, "how": how, "on": on} for what, how, on in chosen]


def _dataset(facts: Facts) -> dict[str, Any] | None:
    kept = ("found", "written", "rejected", "reasons", "skipped", "splits", "patients", "policy",
            "seed", "synthetic", "content_sha256", "source_fingerprint")  # fmt: skip
    return {name: facts.dataset.get(name) for name in kept} if facts.dataset else None


def _calibration(facts: Facts) -> dict[str, Any]:
    """Before and after temperature: on validation, where it was fitted, and on test."""
    fixed, report = facts.part("training", "calibration"), facts.part("report", "calibration")
    return {
        "temperature": fixed.get("temperature"),
        "val": {when: fixed[when] for when in ("before", "after") if when in fixed},
        "test": {when: report[when] for when in ("before", "after") if when in report},
    }


def write_card(facts: Facts, folder: Path) -> tuple[Path, Path]:
    """Writes `card.html` and `card.json`, each whole or not at all.

    Returns:
      paths of the page and of the JSON file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    numbers = card(facts)
    page, facts_file = folder / "card.html", folder / "card.json"
    write_atomically(facts_file, json.dumps(numbers, indent=1, allow_nan=False) + "\n")
    write_atomically(page, render(numbers))
    return page, facts_file


def render(numbers: dict[str, Any]) -> str:
    """The page as text.

    Args:
      numbers: as `card` gives them.
    """
    pages = environment("components.model_card")
    pages.filters |= {"number": number, "interval": interval}
    sections: dict[str, list[dict[str, Any]]] = {}
    for item in numbers["items"]:
        sections.setdefault(item["section"], []).append(item)
    return pages.get_template("card.html.j2").render(
        card=numbers,
        sections=sections,
        headline=[name for name in _SHOWN if name in numbers["metrics"]],
        in_slices=[
            name for name in _IN_SLICES if any(name in row["metrics"] for row in numbers["slices"])
        ],
    )
