"""Parameters of a compiled graph: values that may still be chosen at submission.

TFX cannot put a runtime parameter inside a JSON text (custom_config of Trainer, options of Gate).
A task that needs one therefore gets one more input, `pneumo_NAME`, and its container writes the
value into the JSON before the component runs.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import yaml
from pydantic import Field, ValidationError, create_model
from pydantic.fields import FieldInfo

from core.metrics.options import GateRule, OperatingPointOptions
from core.models.options import DetectorOptions
from core.training.options import FineTuneOptions, TrainingOptions
from schema.errors import PneumoError

if TYPE_CHECKING:
    from pipeline.config import Config

PREFIX: Final = "pneumo_"
# Start of the path of a package file, which differs between the image and the compiling machine.
PACKAGE: Final = "package://"
PACKAGE_ROOT: Final = Path(__file__).resolve().parent.parent.parent
_URI: Final = FieldInfo.from_annotation(Annotated[str, Field(min_length=1)])  # type: ignore[arg-type]


@dataclass(frozen=True)
class Place:
    """Where a value goes.

    Attributes:
      node: id of the node.
      key: its execution property, a text in JSON (`config`: in YAML).
      path: keys inside the text; empty: the whole property is the value.
      edit: writes the value into the parsed property where a path does not suffice.
    """

    node: str
    key: str
    path: tuple[str, ...] = ()
    edit: Callable[[Any, Any], None] | None = None

    @property
    def whole(self) -> bool:
        """Whether the property is the value itself, which the platform then fills in."""
        return not self.path and self.edit is None


@dataclass(frozen=True)
class Parameter:
    """One parameter.

    Attributes:
      field: option that defines the type and the valid values.
      default: from the configuration; None: the graph has no such parameter.
      places: where it goes.
      about: one line.
    """

    field: FieldInfo
    default: "Callable[[Config], Any]"
    places: tuple[Place, ...]
    about: str

    @property
    def kind(self) -> Any:
        """Type of the values: str, int or float."""
        return self.field.annotation


def _in_config(*path: str) -> tuple[Place, ...]:
    return Place("Report", "config", path), Place("ModelCard", "config", path)


def _in_training(*path: str) -> tuple[Place, ...]:
    return Place("Trainer", "custom_config", path), Place("Tuner", "custom_config", path)


def _everywhere(*path: str) -> tuple[Place, ...]:
    return *_in_training(*path), *_in_config(*path)


def _in_evaluation(*path: str) -> tuple[Place, ...]:
    return *_everywhere("evaluation", *path), Place("Gate", "options", path)


def _set_tfma_threshold(config: Any, value: Any) -> None:
    for metric in _tfma_metrics(config):
        settings = json.loads(metric.get("config") or "{}")
        for name, new in (("threshold", value), ("thresholds", [value])):
            if name in settings:
                settings[name] = new
                metric["config"] = json.dumps(settings)


def _set_tfma_auc(config: Any, value: Any) -> None:
    for metric in _tfma_metrics(config):
        if metric["class_name"] == "AUC":
            for bound in metric.get("per_slice_thresholds", []):
                bound["threshold"]["value_threshold"]["lower_bound"] = value


def _tfma_metrics(config: Any) -> list[dict[str, Any]]:
    return [metric for spec in config["metrics_specs"] for metric in spec.get("metrics", [])]


def _of_rule(rule: str, field: str) -> "Callable[[Config], Any]":
    def default(config: "Config") -> Any:
        point = config.evaluation.operating_point
        return getattr(point, field) if point.rule == rule else None

    return default


_POINT: Final = OperatingPointOptions.model_fields
PARAMETERS: Final[dict[str, Parameter]] = {
    "data": Parameter(
        _URI,
        lambda c: c.deploy.data or "",
        (
            Place("ImportExampleGen", "input_base"),
            Place("Report", "records"),
            Place("ModelCard", "records"),
            *_in_training("records"),
        ),
        "URI of the folder that `pneumo ingest` wrote",
    ),
    "weights": Parameter(
        _URI,
        lambda c: c.model.weights,
        (
            Place("Embedder", "weights", ("file",)),
            *_in_training("weights", "file"),
            *_everywhere("model", "weights"),
        ),
        "imagenet, random, or the URI of a weight file or of a folder with one",
    ),
    "epochs": Parameter(
        TrainingOptions.model_fields["epochs"],
        lambda c: c.training.epochs,
        _everywhere("training", "epochs"),
        "epochs of the head",
    ),
    "fine_tune_epochs": Parameter(
        FineTuneOptions.model_fields["epochs"],
        lambda c: c.training.fine_tune.epochs if c.training.fine_tune else None,
        _everywhere("training", "fine_tune", "epochs"),
        "epochs of the trainable blocks of the backbone",
    ),
    "detector_epochs": Parameter(
        DetectorOptions.model_fields["epochs"],
        lambda c: c.model.detector.epochs if c.model.detector else None,
        _everywhere("model", "detector", "epochs"),
        "epochs of the detection head",
    ),
    "threshold": Parameter(
        _POINT["threshold"],
        _of_rule("fixed", "threshold"),
        (
            *_in_evaluation("operating_point", "threshold"),
            Place("Evaluator", "eval_config", edit=_set_tfma_threshold),
        ),
        "score from which an image counts as positive",
    ),
    **{
        rule: Parameter(
            _POINT["at_least"],
            _of_rule(rule, "at_least"),
            _in_evaluation("operating_point", "at_least"),
            f"{rule} that the threshold must reach on validation",
        )
        for rule in ("sensitivity", "specificity")
    },
    "gate_auc": Parameter(
        GateRule.model_fields["min"],
        lambda c: c.evaluation.gate["auc"].min if "auc" in c.evaluation.gate else None,
        (
            *_in_evaluation("gate", "auc", "min"),
            Place("Evaluator", "eval_config", edit=_set_tfma_auc),
        ),
        "AUC on test below which a model is not blessed",
    ),
}

# A part of the module of an executor -> id of its node.
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
    """Returns a valid value of a parameter in its type; text is parsed.

    Raises:
      PneumoError: no such parameter, or an invalid value.
    """
    if name not in PARAMETERS:
        raise PneumoError(f"no parameter {name!r}; there are {', '.join(PARAMETERS)}")
    parameter = PARAMETERS[name]
    fields: dict[str, Any] = {name: (parameter.kind, parameter.field)}
    try:
        return getattr(create_model("Values", **fields)(**{name: value}), name)
    except ValidationError as error:
        message = error.errors()[0]["msg"]
        raise PneumoError(f"parameter {name}={value!r}: {message}; {parameter.about}") from None


def apply_parameters(node: str, exec_properties: Mapping[str, Any]) -> dict[str, Any]:
    """Writes parameters into the properties of a task and resolves paths of package files.

    Args:
      node: id of the node, or path of its executor class.
      exec_properties: of the task, parameters among them as `pneumo_NAME`. Not changed.

    Returns:
      The execution properties of the component.

    Raises:
      PneumoError: no such parameter, an invalid value, or no place for it in this node.
    """
    node = next((_NODES[part] for part in reversed(node.split(".")) if part in _NODES), node)
    properties: dict[str, Any] = {}
    for key, value in exec_properties.items():
        if isinstance(value, str) and value.startswith(PACKAGE):
            properties[key] = str(PACKAGE_ROOT / value.removeprefix(PACKAGE))
        elif not key.startswith(PREFIX):
            properties[key] = value
    for key in exec_properties.keys() - properties.keys():
        name = key.removeprefix(PREFIX)
        value = checked(name, exec_properties[key])
        places = [place for place in PARAMETERS[name].places if place.node == node]
        if not places:
            raise PneumoError(f"parameter {name} has no place in node {node}")
        for place in places:
            if place.key not in properties:
                raise PneumoError(f"node {node} has no property {place.key} for {name}")
            properties[place.key] = (
                value if place.whole else _edited(properties[place.key], place, value)
            )
    return properties


def _edited(text: str, place: Place, value: Any) -> str:
    in_yaml = place.key == "config"
    parsed = yaml.safe_load(text) if in_yaml else json.loads(text)
    if place.edit is not None:
        place.edit(parsed, value)
    else:
        *parents, last = place.path
        group = parsed
        for key in parents:
            group = group.get(key) if isinstance(group, dict) else None
        if not isinstance(group, dict) or last not in group:
            raise PneumoError(
                f"node {place.node}: {place.key} has no {'.'.join(place.path)}; compile again"
            )
        group[last] = value
    if in_yaml:
        return yaml.safe_dump(parsed, sort_keys=False)
    return json.dumps(parsed, sort_keys=True)
