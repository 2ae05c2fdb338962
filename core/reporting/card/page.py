"""The model card as one HTML file without external resources, and as JSON."""

from collections.abc import Mapping
from itertools import groupby, islice
from pathlib import Path
from typing import Any

from core.metrics import registry
from core.reporting.card.checklist import answer, fill_checklist, limitations
from core.reporting.card.run_files import RunFiles
from core.reporting.format import number
from core.reporting.notices import DISCLAIMER, backbones, notices
from core.reporting.rendering import data_uri, render, write_page
from core.reporting.stress_test import stress_test_drops
from schema.files import json_values, read_json, read_lines

_OF_DATASET = (
    "found",
    "written",
    "rejected",
    "reasons",
    "skipped",
    "splits",
    "patients",
    "policy",
    "seed",
    "synthetic",
    "content_sha256",
    "source_fingerprint",
)
_REJECTS = 200  # rows; the counts by reason are complete


def write_card(files: RunFiles, folder: Path) -> tuple[Path, Path]:
    """Writes `card.html` and `card.json`, each atomically.

    Returns:
      paths of the page and of the JSON file.
    """
    numbers = card(files)
    return write_page(folder, "card", numbers, render_card(numbers))


def card(files: RunFiles) -> dict[str, Any]:
    """Returns everything on the card as JSON types without NaN."""
    items = fill_checklist(files)
    training, report = files.training or {}, files.report or {}
    calibration = report.get("calibration") or {}
    fixed = training.get("calibration") or {}
    return json_values(
        {
            "name": files.config.get("name") or "",
            "disclaimer": DISCLAIMER,
            "notices": notices(files.dataset, files.training),
            "task": files.task.to_dict(),
            "backbone": training.get("backbone"),
            "weights": [_weights(files, one) for one in backbones(training)],
            "test": report.get("test"),
            "dataset": files.dataset and {name: files.dataset.get(name) for name in _OF_DATASET},
            "rejects": files.rejects,
            "leakage": (files.leakage or {}).get("counts"),
            "protocol": protocol(files),
            "flow": report.get("flow"),
            "sides": report.get("sides"),
            "confusion": report.get("confusion"),
            "metrics": files.metrics,
            "slices": files.slices,
            "shifted_validation": report.get("shifted_validation"),
            "calibration": {
                "temperature": fixed.get("temperature"),
                "val": {when: fixed[when] for when in ("before", "after") if when in fixed},
                "test": {
                    when: calibration[when] for when in ("before", "after") if when in calibration
                },
            },
            "stress_test": files.stress_test,
            "decision": files.decision,
            "limits": limitations(files),
            "known": sum(item["known"] for item in items),
            "items": items,
            "lineage": files.lineage,
            "run": files.run,
        }
    )


def _weights(files: RunFiles, backbone: Mapping[str, Any]) -> dict[str, Any]:
    weights = backbone.get("weights") or {}
    return {
        "backbone": backbone.get("backbone"),
        **weights,
        "file": Path(weights.get("file") or "").name,
        "digest": answer(files, "digest", weights),
    }


def protocol(files: RunFiles) -> list[dict[str, str]]:
    """Returns what was chosen on which split, in order of time: rows of `what`, `how`, `on`."""
    if not files.training:
        return []
    members = files.training.get("members") or []
    fixed = files.training.get("calibration") or {}
    band = fixed.get("band")
    epochs = ", ".join(str(member["best_epoch"]) for member in members)
    fitted_on = "val and shifted folds" if fixed.get("fit_on") == "pooled" else "val"
    rule = f"threshold {number(fixed.get('threshold'))}: {answer(files, 'rule')}"
    chosen = [
        ("weights of the network", "training", "train"),
        ("epoch" if len(members) < 2 else "epoch of each member", f"lowest loss: {epochs}", "val"),
        ("temperature", f"lowest log loss: {number(fixed.get('temperature'))}", fitted_on),
        ("operating point", rule, fitted_on),
        ("referral band", f"{number(band[0])} to {number(band[1])}" if band else "none", "val"),
        ("nothing", "evaluated after all of the above, once for this model", "test"),
    ]
    if boxes := ((files.report or {}).get("boxes") or {}).get("chosen"):
        how = (
            f"highest challenge score: {number(boxes.get('threshold'))}, sides times "
            f"{number(boxes.get('shrink'))}, score by {boxes.get('combine')}"
        )
        chosen.insert(-1, ("threshold, scale and score of boxes", how, "val"))
    if search := files.config.get("tuner"):
        chosen.insert(0, ("head and optimizer", f"search of {search.get('trials')} trials", "val"))
    return [{"what": what, "how": how, "on": on} for what, how, on in chosen]


def render_card(numbers: dict[str, Any]) -> str:
    """Renders the page from the result of `card`."""
    stress_test = numbers["stress_test"]
    in_slices = [
        name
        for name in registry.CARD_SLICES
        if any(name in row["metrics"] for row in numbers["slices"])
    ]
    return render(
        "card.html.j2",
        numbers=numbers,
        sections={
            name: list(rows) for name, rows in groupby(numbers["items"], lambda i: i["section"])
        },
        headline=[name for name in registry.CARD_HEADLINE if name in numbers["metrics"]],
        slice_metrics=in_slices,
        drops=data_uri(stress_test_drops(stress_test)) if stress_test else "",
    )


def read_ingest(folder: Path) -> dict[str, Any]:
    """Returns `dataset`, `leakage` and the first `rejects` that ingest left in a folder."""
    rejects: list[dict[str, Any]] = []
    if (folder / "rejects.jsonl").is_file():
        rejects = list(islice(read_lines(folder / "rejects.jsonl"), _REJECTS))
    dataset, leakage = (read_json(folder / f"{name}.json") for name in ("dataset", "leakage"))
    return {"dataset": dataset, "leakage": leakage, "rejects": rejects}
