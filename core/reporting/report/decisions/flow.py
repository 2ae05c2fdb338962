"""Flow of images from the files found to the decisions (STARD 2015, Bossuyt et al., BMJ 351)."""

from typing import Any

import numpy as np

from core.metrics.operating_point import DECISIONS, NEGATIVE, POSITIVE, REFER
from core.predictions.predictions import SplitPredictions


def image_flow(dataset: dict[str, Any] | None, test: SplitPredictions) -> dict[str, Any]:
    """Counts images at each step.

    Args:
      dataset: `dataset.json` of ingest; None: the flow begins with the predictions.
      test: predictions on the test split.

    Returns:
      `files`: `found`, `rejected`, `reasons`, `skipped` (kind -> number), `written`; or None.
      `development`: rows of `split`, `images`, `patients`.
      `test`: `records`, `not_scored`, `outside_task` (no binary label), `images`, `patients`.
      `decisions`: rows of `decision`, `images`, `positives` and `negatives` by reference label;
      REFER only if there is a referral band.
    """
    splits = (dataset or {}).get("splits") or {}
    totals = {split: sum(counts.values()) for split, counts in splits.items()}
    labeled = test.with_binary_label()
    records = totals.pop("test", len(test))
    patients = (dataset or {}).get("patients") or {}
    return {
        "files": _files(dataset) if dataset and splits else None,
        "development": [
            {"split": split, "images": images, "patients": patients.get(split)}
            for split, images in totals.items()
        ],
        "test": {
            "records": records,
            "not_scored": records - len(test),
            "outside_task": len(test) - len(labeled),
            "images": len(labeled),
            "patients": len(np.unique(labeled.patient)),
        },
        "decisions": [
            {
                "decision": DECISIONS[decision],
                "images": int((labeled.decision == decision).sum()),
                "positives": int(((labeled.decision == decision) & (labeled.positive == 1)).sum()),
                "negatives": int(((labeled.decision == decision) & (labeled.positive == 0)).sum()),
            }
            for decision in (POSITIVE, REFER, NEGATIVE)
            if decision != REFER or test.band is not None
        ],
    }


def flow_errors(flow: dict[str, Any]) -> list[str]:
    """Returns a line for each step whose numbers do not add up; empty if all do."""
    files, test, decisions = flow["files"], flow["test"], flow["decisions"]
    sums = [
        ("test images", test["images"], sum(row["images"] for row in decisions)),
        *(
            (
                f"images with decision {row['decision']}",
                row["images"],
                row["positives"] + row["negatives"],
            )
            for row in decisions
        ),
        (
            "records of the test split",
            test["records"],
            test["not_scored"] + test["outside_task"] + test["images"],
        ),
    ]
    if files:
        used = sum(row["images"] for row in flow["development"]) + test["records"]
        lost = files["rejected"] + sum(files["skipped"].values())
        sums += [
            ("files", files["found"], lost + files["written"]),
            ("rejected files", files["rejected"], sum(files["reasons"].values())),
            ("records", files["written"], used),
        ]
    errors = [
        f"{total} {name}, but {found} accounted for"
        for name, total, found in sums
        if total != found
    ]
    if test["not_scored"] < 0:
        errors.append(f"{-test['not_scored']} predictions without a record in the test split")
    return errors


def _files(dataset: dict[str, Any]) -> dict[str, Any]:
    return {
        "found": dataset["found"],
        "rejected": dataset["rejected"],
        "reasons": dataset.get("reasons") or {},
        "skipped": dataset.get("skipped") or {},
        "written": dataset["written"],
    }
