"""Limits that the facts of a run show by themselves."""

from components.model_card.data import Facts, number

_FEW = 50  # patients; below it an interval is wide whatever the result


def limits(f: Facts) -> list[str]:
    """Sentences, the gravest first. Never empty: some limits hold for every model."""
    return [*_of_data(f), *_of_training(f), *_of_results(f), *_of_every_model(f)]


def _of_data(f: Facts) -> list[str]:
    said = []
    if f.dataset and f.dataset.get("synthetic"):
        said.append(
            "The radiographs are synthetic: the numbers say nothing about real patients, and the "
            "model must not be shown any."
        )
    if f.leakage and not f.leakage.get("ok"):
        said.append("The splits leak into each other, so results on test are too good.")
    shortcuts = (f.dataset or {}).get("shortcuts") or f.part("report", "dataset").get("shortcuts")
    for shortcut in shortcuts or []:
        area = shortcut.get("auc")
        if isinstance(area, int | float) and area >= 0.7:
            said.append(
                f"Without looking at the image, {shortcut.get('what')} alone tells the classes "
                f"apart with AUC {number(area)}: part of the result may come from how files were "
                "made, not from disease."
            )
    splits = f.part("dataset", "splits")
    names = {name for counts in splits.values() for name, n in counts.items() if n}
    unsure = sorted(name for name in names if len(f.task.compatible.get(name, ())) > 1)
    if unsure:
        said.append(f"Images of {', '.join(unsure)} pathogen are labelled in part only.")
    return said


def _of_training(f: Facts) -> list[str]:
    said = []
    if f.part("training", "weights").get("kind") == "random":
        said.append("The trunk started from random weights: this is not transfer learning.")
    fixed = f.part("training", "calibration")
    note = (fixed.get("operating_point") or {}).get("note")
    if note:
        said.append(f"Operating point: {note}.")
    members = (f.training or {}).get("members") or []
    if len(members) == 1:
        said.append("One seed: how much the result depends on chance in training is not known.")
    return said


def _of_results(f: Facts) -> list[str]:
    said = [str(line) for line in f.part("report", "shift").get("warnings") or []]
    patients = f.part("report", "test").get("patients")
    if isinstance(patients, int) and patients < _FEW:
        said.append(f"Test has {patients} patients only; its intervals are wide.")
    thin = [
        f"{row['feature']} = {row['value']} ({row['patients']})"
        for row in (f.report or {}).get("slices") or []
        if isinstance(row.get("patients"), int) and row["patients"] < _FEW
    ]
    if thin:
        said.append(
            f"Slices of fewer than {_FEW} patients are hints, not results: {', '.join(thin)}."
        )
    if (chosen := f.part("report", "boxes").get("chosen")) and chosen.get("note"):
        said.append(f"Threshold and size of boxes were not chosen: {chosen['note']}.")
    if f.decision and not f.decision.get("blessed"):
        said.append("The model did not pass its gate.")
    return said


def _of_every_model(f: Facts) -> list[str]:
    said = [
        "Test comes from the same source as training; another hospital, age group or device will "
        "give other numbers.",
        "Predictive values depend on how common the disease is; those of this test split do not "
        "carry over.",
        "How often this test split was looked at with other configurations is not recorded here; "
        "each look makes the best of several results too good.",
    ]
    if f.task.located:
        said.append(
            "Boxes say roughly where, not how large: readers who mark opacities do not agree on "
            "their edges, and an overlap above 0.40 already counts as found."
        )
        said.append("An image without a box is not a healthy one: only opacities were marked.")
    if not f.card.get("reference_standard"):
        said.append("How the true classes were found is not known to this card.")
    return said
