"""Answers about the model: what it is, what it starts from, how it was trained and chosen."""

from pathlib import Path
from typing import Any

from components.model_card.data import SOFTWARE, Facts, Told, number

_RULES = {
    "fixed": "a threshold fixed beforehand",
    "sensitivity": "the largest threshold with a sensitivity of at least {asked}",
    "specificity": "the smallest threshold with a specificity of at least {asked}",
    "youden": "the threshold with the largest sensitivity + specificity (Youden)",
    "cost": "the threshold of least cost, a miss costing {asked} false alarms",
}


def kind(f: Facts) -> Told | None:
    """The technology and the classes."""
    if not f.training:
        return None
    boxes = " that boxes the opacities" if f.task.located else ""
    return Told(
        f"Deep learning: classifier of chest radiographs into {', '.join(f.task.classes)}{boxes}, "
        f"by transfer from {f.training['trunk']}",
        "training.json",
    )


def goal(f: Facts) -> Told | None:
    """What the task asks."""
    positive = " or ".join(f.task.classes[i] for i in f.task.positive)
    negative = " or ".join(f.task.classes[i] for i in f.task.negative)
    more = ", and which of the classes it is" if len(f.task.classes) > 2 else ""
    more += ", and to say where" if f.task.located else ""
    return Told(
        f"To tell {positive} from {negative} on a radiograph{more}; development, and evaluation on "
        "a test split of the same data",
        "configuration: data.task",
    )


def description(f: Facts) -> Told | None:
    """Layers and their number of parameters."""
    t = f.training
    if not t:
        return None
    model = f.config.get("model") or {}
    tuned = t.get("tuned") or {}
    dense = tuned.get("dense", model.get("dense")) or []
    layers = f"dense layers of {', '.join(map(str, dense))}" if dense else "no dense layer"
    learned = "the whole trunk stayed frozen"
    if tune := t.get("fine_tune"):
        learned = f"what lies above the cut {t.get('cut')} learned too"
        if side := tune.get("view_size"):
            learned += f", from views of {side} x {side}"
    stages = "; two stages: positive or not, then which positive class" if f.task.two_stage else ""
    size = f.part("training", "parameters")
    count = f"{size['trainable']:,} of {size['total']:,} parameters learned" if size else ""
    return Told(
        f"{t['trunk']} at {t['image_size']} x {t['image_size']}, {learned}; {t.get('pooling')} "
        f"pooling, {layers}, one output layer{stages}; {count}",
        "training.json",
    )


def software(f: Facts) -> Told | None:
    """Versions that the numbers depend on."""
    versions = f.part("report", "versions")
    if not versions:
        return None
    return Told(", ".join(f"{name} {of}" for name, of in versions.items()), "report.json")


def initialisation(f: Facts) -> Told | None:
    """Weights that training started from, with their digest."""
    weights = f.part("training", "weights")
    if not weights:
        return None
    if weights.get("kind") == "random":
        why = f" ({weights['reason']})" if weights.get("reason") else ""
        return Told(f"RANDOM weights: nothing was pre-trained{why}", "training.json")
    return Told(
        f"{Path(weights.get('file', '')).name}, SHA-256 {weights.get('sha256')}; {digest(weights)}",
        "training.json",
    )


def digest(weights: dict[str, Any]) -> str:
    """Whether a weight file is the one that Keras publishes."""
    return {
        "yes": "the digest is that of the ImageNet weights that Keras publishes",
        "no": "its digest is NOT that of the ImageNet weights that Keras publishes",
    }.get(weights.get("published", ""), "whether it is a published file is not known")


def training(f: Facts) -> Told | None:
    """Loss, optimiser, epochs, augmentation, second phase."""
    t, options = f.training, f.config.get("training") or {}
    if not t:
        return None
    rate = (t.get("tuned") or {}).get("learning_rate", options.get("learning_rate"))
    said = [
        f"Head: {str(options.get('loss', 'loss not known')).replace('_', ' ')}, learning rate "
        f"{rate}, at most {options.get('epochs')} epochs of batches of {options.get('batch_size')}"
    ]
    views = f.part("training", "embedding").get("views")
    said.append(
        f"{views} augmented views beside each training image" if views else "no augmented views"
    )
    tune = t.get("fine_tune")
    if tune:
        said.append(
            f"then {tune['epochs']} epochs for the trunk above {t.get('cut')}, learning rate "
            f"{tune['learning_rate']}, batch norm {tune['batch_norm']}, from "
            + ("stored activations" if tune["source"] == "cache" else "images augmented anew")
            + f", computed in {t.get('compute', 'a format not told')}"
        )
    return Told("; ".join(said), "training.json and configuration: training")


def selection(f: Facts) -> Told | None:
    """Everything that was chosen, and on what."""
    if not f.training:
        return None
    epochs = ", ".join(
        f"seed {member['seed']}: epoch {member['best_epoch']} of {member['epochs']}"
        for member in f.training.get("members") or []
    )
    return Told(
        f"On validation alone: epoch by least loss ({epochs or 'not told'}), temperature, "
        "operating point and abstention band; nothing was chosen on test",
        "training.json",
    )


def ensembling(f: Facts) -> Told | None:
    """How many members answer."""
    members = (f.training or {}).get("members")
    if not members:
        return None
    if len(members) == 1:
        return Told(f"None: one member, seed {members[0]['seed']}", "training.json")
    seeds = ", ".join(str(member["seed"]) for member in members)
    return Told(
        f"The mean of the probabilities of {len(members)} members (seeds {seeds})", "training.json"
    )


def calibration(f: Facts) -> Told | None:
    """Temperature, and what it did on validation."""
    fixed = f.part("training", "calibration")
    if not fixed:
        return None
    before, after = fixed.get("before") or {}, fixed.get("after") or {}
    return Told(
        f"No update after training but temperature {number(fixed.get('temperature'))}, fitted on "
        f"validation: calibration error {number(before.get('ece'))} before, "
        f"{number(after.get('ece'))} after; Brier score {number(before.get('brier'))} before, "
        f"{number(after.get('brier'))} after",
        "training.json",
    )


def output(f: Facts) -> Told | None:
    """What a client is told, and where the decision changes."""
    fixed = f.part("training", "calibration") or (f.about or {})
    if not fixed:
        return None
    positive = " + ".join(f.task.classes[i] for i in f.task.positive)
    band = fixed.get("band")
    referred = (
        f"; scores from {number(band[0])} to {number(band[1])} are referred to a person"
        if band
        else "; no score is referred to a person"
    )
    return Told(
        f"Calibrated probability of each class; score = probability of {positive}; POSITIVE at "
        f"{number(fixed.get('threshold'))} or above: {rule(fixed)}{referred}",
        "training.json",
    )


def rule(fixed: dict[str, Any]) -> str:
    """How the operating point was chosen, with what it showed on validation."""
    point = fixed.get("operating_point") or {}
    name = str(point.get("rule", "rule not known"))
    text = _RULES.get(name, name).format(asked=point.get("asked"))
    return (
        f"{text}; on validation sensitivity {number(point.get('sensitivity'))}, "
        f"specificity {number(point.get('specificity'))}"
    )


def input_checks(_: Facts) -> Told | None:
    """What the served model does with bad input."""
    return Told(
        "An image that cannot be decoded is answered with an error; an image of something else "
        "than a chest is not noticed",
        SOFTWARE,
    )


def explanation(_: Facts) -> Told | None:
    """The pipeline makes no saliency maps."""
    return Told("None: the model gives no reason for its answer", SOFTWARE)
