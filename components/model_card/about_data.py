"""Answers about the data: where images come from, what was left out, how they were split."""

from components.model_card.data import SOFTWARE, Facts, Told, listed


def data_source(f: Facts) -> Told | None:
    """Phantoms say so themselves; of real images only people know."""
    if f.dataset and f.dataset.get("synthetic"):
        return Told("Synthetic: radiographs drawn by a program; no patients", "dataset.json")
    return None


def preprocessing(f: Facts) -> Told | None:
    """What happens to pixels."""
    t = f.training
    if not t:
        return None
    how = {"stretch": "stretched", "pad": "padded to a square, then scaled"}
    fit = how.get(t.get("fit", ""), "resized")
    return Told(
        f"Decoded, one gray channel, {fit} to {t['image_size']} x {t['image_size']} pixels, then "
        f"the input scaling of {t['trunk']}; the same graph in training and in serving",
        "training.json",
    )


def predictors(_: Facts) -> Told | None:
    """The input is fixed by the signatures of the model."""
    return Told(
        "The pixels of one image and nothing else: no age, sex, symptoms or earlier images",
        SOFTWARE,
    )


def subsets(f: Facts) -> Told | None:
    """Records without a place in the task."""
    splits = f.part("dataset", "splits")
    if not splits:
        return None
    left = {
        split: sum(n for name, n in counts.items() if not f.task.places(name, 0))
        for split, counts in splits.items()
    }
    if not any(left.values()):
        return Told("All records have a place in the task", "dataset.json")
    out = ", ".join(f"{n:,} of {split}" for split, n in left.items() if n)
    return Told(f"Left out, because their pathogen is no class of the task: {out}", "dataset.json")


def missing(f: Facts) -> Told | None:
    """Unreadable files, and labels that are known in part."""
    if not f.dataset:
        return None
    reasons = f.part("dataset", "reasons")
    said = ["No file had to be left out"]
    if reasons:
        said = [f"Files that could not be used were left out ({listed(reasons)})"]
    unsure = [name for name, of in f.task.compatible.items() if len(of) > 1]
    known = sum(
        counts.get(name, 0) for counts in f.part("dataset", "splits").values() for name in unsure
    )
    if known:
        said.append(
            f"{known:,} images of {' and '.join(unsure)} pathogen train with a partial label (one "
            "of several classes) and do not count in numbers of classes"
        )
    return Told("; ".join(said), "dataset.json")


def assignment(f: Facts) -> Told | None:
    """How splits came about."""
    if not f.dataset:
        return None
    policies = {
        "given": "as the folders of the source say",
        "patient": "drawn by patient",
        "given_patient_val": "train and test as the source gives them, validation drawn from train "
        "by patient",
    }
    policy = f.dataset.get("policy", "")
    return Told(
        f"{policies.get(policy, policy)}, seed {f.dataset.get('seed')}; {sizes(f)}", "dataset.json"
    )


def sizes(f: Facts) -> str:
    """Images and patients of each split."""
    patients = f.part("dataset", "patients")
    return "; ".join(
        f"{split}: {sum(counts.values()):,} images of {patients.get(split, '?')} patients"
        for split, counts in f.part("dataset", "splits").items()
    )


def disjoint(f: Facts) -> Told | None:
    """What the search for leaks found."""
    counts = f.part("leakage", "counts")
    if not counts:
        return None
    across = {
        name: counts.get(name, 0)
        for name in ("patients_in_two_splits", "exact_across_splits", "near_across_splits")
    }
    verdict = "No leak was found" if f.leakage and f.leakage.get("ok") else "LEAKS WERE FOUND"
    return Told(
        f"{verdict}: {listed(across)}; a patient is what the file name shows as one",
        "leakage.json",
    )


def sample_size(f: Facts) -> Told | None:
    """There is no power computation in the pipeline; it says what there was."""
    if not f.dataset:
        return None
    return Told(
        f"Not planned by this pipeline; what the source holds was used ({sizes(f)})", "dataset.json"
    )


def flow(f: Facts) -> Told | None:
    """Files from the source to the splits."""
    d = f.dataset
    if not d:
        return None
    return Told(
        f"{d['found']:,} files found, {d['written']:,} used, {d['rejected']:,} rejected "
        f"({listed(f.part('dataset', 'reasons')) or 'none'}), "
        f"{sum(f.part('dataset', 'skipped').values()):,} skipped by name; {sizes(f)}",
        "dataset.json",
    )


def composition(f: Facts) -> Told | None:
    """Pathogens of each split."""
    splits = f.part("dataset", "splits")
    if not splits:
        return None
    text = "; ".join(f"{split}: {listed(counts)}" for split, counts in splits.items())
    return Told(text, "dataset.json")


def imbalance(f: Facts) -> Told | None:
    """Class weights."""
    if not f.training:
        return None
    weights = f.part("training", "class_weight")
    if not weights:
        return Told("Nothing was done about unequal classes in training", "training.json")
    told = ", ".join(f"{name} {weight:.2f}" for name, weight in weights.items())
    return Told(f"Weights of the loss by class: {told}; none at evaluation", "training.json")


def differences(f: Facts) -> Told | None:
    """Share of positives by split, and shifts that the report found."""
    splits = f.part("dataset", "splits")
    if not splits:
        return None
    shares = []
    for split, counts in splits.items():
        # Counts by pathogen; of a located task they tell no side.
        sides = {name: -1 if f.task.located else f.task.side(name, 0) for name in counts}
        told = sum(n for name, n in counts.items() if sides[name] >= 0)
        positive = sum(n for name, n in counts.items() if sides[name] == 1)
        if told:
            shares.append(f"{split} {positive / told:.0%}")
    warnings = f.part("report", "shift").get("warnings")
    said = f"Share of positives: {', '.join(shares) or 'not told by the pathogens'}"
    if warnings is None:
        return Told(said, "dataset.json")
    found = " ".join(warnings) or "no shift of the scores between validation and test was found"
    return Told(f"{said}. Scores: {found}", "dataset.json, report.json")
