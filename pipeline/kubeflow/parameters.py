"""Parameters of a compiled graph: what may still be chosen when it is submitted.

TFX cannot put a runtime parameter inside a JSON text (custom_config of Trainer, options of Gate).
So a task that needs one gets an input parameter more, `pneumo_NAME`, and the container puts its
value in its place before the component runs.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from components.detector.options import DetectorOptions
from components.evaluation.options import GateRule, OperatingPointOptions
from components.trainer.options import FineTuneOptions, TrainingOptions
from schema.errors import PneumoError

if TYPE_CHECKING:
    from pipeline.config import Config

PREFIX: Final = "pneumo_"
# A file of the package: its place in the image is not the one on the machine that compiled.
PACKAGE: Final = "package://"
_PACKAGE_ROOT = Path(__file__).resolve().parent.parent.parent

Edit = Callable[[Any, Any], None]


class Places(BaseModel):
    """What `data` and `weights` may be; whether something is there is seen when it is read."""

    model_config = ConfigDict(extra="forbid")

    uri: str = Field(min_length=1)


@dataclass(frozen=True)
class Place:
    """Where a value goes.

    Attributes:
      node: id of the node.
      key: its execution property, a text in JSON (`config`: in YAML).
      path: keys inside; empty: the whole property is the value.
      edit: puts the value into the parsed property, where a path cannot say it.
    """

    node: str
    key: str
    path: tuple[str, ...] = ()
    edit: Edit | None = None

    @property
    def whole(self) -> bool:
        """Whether the property is the value itself; then the platform hands it over."""
        return not self.path and self.edit is None


@dataclass(frozen=True)
class Parameter:
    """One parameter.

    Attributes:
      kind: str, int or float.
      options: who knows which values are right.
      field: its field there.
      default: from the configuration; None: the graph has no such parameter.
      places: where it goes.
      about: one line.
    """

    kind: type
    options: type[BaseModel]
    field: str
    default: "Callable[[Config], Any]"
    places: tuple[Place, ...]
    about: str


def _in_config(*path: str) -> tuple[Place, ...]:
    """The configuration as the report and the card show it."""
    return Place("Report", "config", path), Place("ModelCard", "config", path)


def _in_training(*path: str) -> tuple[Place, ...]:
    return Place("Trainer", "custom_config", path), Place("Tuner", "custom_config", path)


def _in_evaluation(*path: str) -> tuple[Place, ...]:
    whole = ("evaluation", *path)
    return *_in_training(*whole), Place("Gate", "options", path), *_in_config(*whole)


def _tfma_threshold(config: Any, value: Any) -> None:
    for metric in _metrics(config):
        settings = json.loads(metric.get("config") or "{}")
        for name, given in (("threshold", value), ("thresholds", [value])):
            if name in settings:
                settings[name] = given
                metric["config"] = json.dumps(settings)


def _tfma_auc(config: Any, value: Any) -> None:
    for metric in _metrics(config):
        if metric.get("class_name", metric.get("className")) != "AUC":
            continue
        for bound in metric.get("per_slice_thresholds", metric.get("perSliceThresholds", [])):
            least = bound["threshold"]
            least = least.get("value_threshold", least.get("valueThreshold"))
            least["lower_bound" if "lower_bound" in least else "lowerBound"] = value


def _metrics(config: Any) -> list[dict[str, Any]]:
    specs = config.get("metrics_specs", config.get("metricsSpecs", []))
    return [metric for spec in specs for metric in spec.get("metrics", [])]


def _of_rule(rule: str, field: str) -> "Callable[[Config], Any]":
    def default(config: "Config") -> Any:
        point = config.evaluation.operating_point
        return getattr(point, field) if point.rule == rule else None

    return default


PARAMETERS: Final[dict[str, Parameter]] = {
    "data": Parameter(
        str, Places, "uri", lambda c: c.deploy.data or "",
        (Place("ImportExampleGen", "input_base"), Place("Report", "records"),
         Place("ModelCard", "records"), *_in_training("records")),
        "URI of the folder that `pneumo ingest` wrote",
    ),
    "weights": Parameter(
        str, Places, "uri", lambda c: c.model.weights,
        (Place("Embedder", "weights", ("file",)), *_in_training("weights", "file"),
         *_in_training("model", "weights"),
         *_in_config("model", "weights")),
        "imagenet, random, or the URI of a weight file or of a folder with one",
    ),
    "epochs": Parameter(
        int, TrainingOptions, "epochs", lambda c: c.training.epochs,
        (*_in_training("training", "epochs"), *_in_config("training", "epochs")),
        "of the head",
    ),
    "fine_tune_epochs": Parameter(
        int, FineTuneOptions, "epochs",
        lambda c: c.training.fine_tune.epochs if c.training.fine_tune else None,
        (*_in_training("training", "fine_tune", "epochs"),
         *_in_config("training", "fine_tune", "epochs")),
        "of the blocks of the trunk that learn too",
    ),
    "detector_epochs": Parameter(
        int, DetectorOptions, "epochs",
        lambda c: c.model.detector.epochs if c.model.detector else None,
        (*_in_training("model", "detector", "epochs"), *_in_config("model", "detector", "epochs")),
        "of the head that finds boxes",
    ),
    "threshold": Parameter(
        float, OperatingPointOptions, "threshold", _of_rule("fixed", "threshold"),
        (*_in_evaluation("operating_point", "threshold"),
         Place("Evaluator", "eval_config", edit=_tfma_threshold)),
        "score from which an image counts as positive",
    ),
    "sensitivity": Parameter(
        float, OperatingPointOptions, "at_least", _of_rule("sensitivity", "at_least"),
        _in_evaluation("operating_point", "at_least"),
        "sensitivity that the threshold must reach on validation",
    ),
    "specificity": Parameter(
        float, OperatingPointOptions, "at_least", _of_rule("specificity", "at_least"),
        _in_evaluation("operating_point", "at_least"),
        "specificity that the threshold must reach on validation",
    ),
    "gate_auc": Parameter(
        float, GateRule, "min",
        lambda c: c.evaluation.gate["auc"].min if "auc" in c.evaluation.gate else None,
        (*_in_evaluation("gate", "auc", "min"), Place("Evaluator", "eval_config", edit=_tfma_auc)),
        "AUC on test below which a model is not blessed",
    ),
}  # fmt: skip

# What a node's executor is called, where only that is known: a part of its module.
_NODES: Final = {
    "embedder": "Embedder",
    "trainer": "Trainer",
    "tuner": "Tuner",
    "gate": "Gate",
    "evaluator": "Evaluator",
    "report": "Report",
    "model_card": "ModelCard",
}


def checked(name: str, value: Any) -> Any:
    """A value of a parameter, in its type; text is read as the type asks.

    Raises:
      PneumoError: no such parameter, or a value that it cannot have.
    """
    if name not in PARAMETERS:
        raise PneumoError(f"no parameter {name!r}; there are {', '.join(PARAMETERS)}")
    of = PARAMETERS[name]
    field = of.options.model_fields[of.field]
    # The field alone: a class of options may have others that must be given.
    fields: dict[str, Any] = {name: (of.kind, field)}
    try:
        return getattr(create_model("Alone", **fields)(**{name: value}), name)
    except ValidationError as error:
        first = error.errors()[0]
        raise PneumoError(f"parameter {name}={value!r}: {first['msg']}; {of.about}") from None


def split_parameters(properties: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Takes the parameters `pneumo_NAME` out of a task's execution properties.

    Returns:
      The other properties, and name -> value of the parameters.
    """
    own = {key: value for key, value in properties.items() if not key.startswith(PREFIX)}
    given = {
        key.removeprefix(PREFIX): value
        for key, value in properties.items()
        if key.startswith(PREFIX)
    }
    return own, given


def apply_parameters(
    node: str, exec_properties: Mapping[str, Any], given: Mapping[str, Any]
) -> dict[str, Any]:
    """Puts parameters in their places, and names files of this package by their paths here.

    Args:
      node: id of the node, or path of its executor class.
      exec_properties: of the task; JSON where the component wants JSON. Not changed.
      given: name -> value; as `split_parameters` gives it.

    Returns:
      The execution properties for the component.

    Raises:
      PneumoError: no such parameter, a value that it cannot have, or no place for it here.
    """
    properties = {
        key: str(_PACKAGE_ROOT / value.removeprefix(PACKAGE))
        if isinstance(value, str) and value.startswith(PACKAGE)
        else value
        for key, value in exec_properties.items()
    }
    parts = node.split(".")
    known = next((_NODES[part] for part in reversed(parts) if part in _NODES), node)
    for name, value in given.items():
        right = checked(name, value)
        places = [place for place in PARAMETERS[name].places if place.node == known]
        if not places:
            raise PneumoError(f"parameter {name} has no place in node {known}")
        for place in places:
            if place.key not in properties:
                raise PneumoError(f"node {known} has no property {place.key} for {name}")
            properties[place.key] = (
                right if place.whole else _edited(properties[place.key], place, right)
            )
    return properties


def _edited(text: str, place: Place, value: Any) -> str:
    in_yaml = place.key == "config"
    whole = yaml.safe_load(text) if in_yaml else json.loads(text)
    if place.edit is not None:
        place.edit(whole, value)
    else:
        at = whole
        for key in place.path[:-1]:
            at = at.get(key) if isinstance(at, dict) else None
        if not isinstance(at, dict) or place.path[-1] not in at:
            raise PneumoError(
                f"node {place.node}: {place.key} has no {'.'.join(place.path)}; compile again"
            )
        at[place.path[-1]] = value
    if in_yaml:
        return yaml.safe_dump(whole, sort_keys=False)
    return json.dumps(whole, sort_keys=True)
