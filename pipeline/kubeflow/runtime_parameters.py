"""Parameters of a compiled graph: values that can still be set at submission.

TFX cannot put a runtime parameter inside a JSON text (custom_config of Trainer, options of Gate).
A task that needs one therefore gets one more input, `pneumo_NAME`, and its container writes the
value into the options of the node before the component runs.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

import yaml
from pydantic import Field, ValidationError, create_model
from pydantic.fields import FieldInfo

from components.embedder.options import EmbedderOptions
from core.metrics.options import EvaluationOptions, GateRule, OperatingPointOptions
from core.models.options import DetectorOptions
from core.training.options import FineTuneOptions, TrainerOptions, TrainingOptions
from pipeline.code_keys import ROOT
from schema.errors import PneumoError, unknown
from schema.options import Options, with_field

if TYPE_CHECKING:
    from pipeline.config import Config

PREFIX: Final = "pneumo_"
# Start of the path of a package file, which differs between the image and the compiling machine.
PACKAGE: Final = "package://"
_URI: Final = FieldInfo.from_annotation(Annotated[str, Field(min_length=1)])  # type: ignore[arg-type]


@dataclass(frozen=True)
class Destination:
    """Where the value of a parameter goes.

    Attributes:
      node: id of the node.
      key: its execution property.
      field: dotted name of the field in the options that the property holds; empty: the property
        is the value itself, which the platform fills in.
    """

    node: str
    key: str
    field: str = ""


@dataclass(frozen=True)
class RuntimeParameter:
    """One parameter of a compiled graph.

    Attributes:
      option: field that defines the type and the valid values.
      default: returns the value of a configuration; None: the graph has no such parameter.
      destinations: where the value goes.
      description: one line.
    """

    option: FieldInfo
    default: "Callable[[Config], Any]"
    destinations: tuple[Destination, ...]
    description: str

    @property
    def kind(self) -> Any:
        """Type of the values: str, int or float."""
        return self.option.annotation


def _in_training(field: str) -> tuple[Destination, ...]:
    return Destination("Trainer", "custom_config", field), Destination(
        "Tuner", "custom_config", field
    )


def _everywhere(field: str) -> tuple[Destination, ...]:
    pages = (Destination(node, "config", field) for node in ("Report", "ModelCard"))
    return *_in_training(field), *pages


def _in_evaluation(field: str) -> tuple[Destination, ...]:
    return *_everywhere(f"evaluation.{field}"), Destination("Gate", "options", field)


def _default_of_rule(rule: str, field: str) -> "Callable[[Config], Any]":
    def default(config: "Config") -> Any:
        point = config.evaluation.operating_point
        return getattr(point, field) if point.rule == rule else None

    return default


_POINT: Final = OperatingPointOptions.model_fields
PARAMETERS: Final[dict[str, RuntimeParameter]] = {
    "data": RuntimeParameter(
        _URI,
        lambda c: c.deploy.data or "",
        (
            Destination("ImportExampleGen", "input_base"),
            Destination("Report", "records"),
            Destination("ModelCard", "records"),
            *_in_training("records"),
        ),
        "URI of the folder that `pneumo ingest` wrote",
    ),
    "weights": RuntimeParameter(
        _URI,
        lambda c: c.model.weights,
        (
            Destination("Embedder", "options", "weights.file"),
            *_in_training("weights.file"),
            *_everywhere("model.weights"),
        ),
        "imagenet, random, or the URI of a weight file or of a folder with one",
    ),
    "epochs": RuntimeParameter(
        TrainingOptions.model_fields["epochs"],
        lambda c: c.training.epochs,
        _everywhere("training.epochs"),
        "epochs of the head",
    ),
    "fine_tune_epochs": RuntimeParameter(
        FineTuneOptions.model_fields["epochs"],
        lambda c: c.training.fine_tune.epochs if c.training.fine_tune else None,
        _everywhere("training.fine_tune.epochs"),
        "epochs of the trainable blocks of the backbone",
    ),
    "detector_epochs": RuntimeParameter(
        DetectorOptions.model_fields["epochs"],
        lambda c: c.model.detector.epochs if c.model.detector else None,
        _everywhere("model.detector.epochs"),
        "epochs of the detection head",
    ),
    "threshold": RuntimeParameter(
        _POINT["threshold"],
        _default_of_rule("fixed", "threshold"),
        (
            *_in_evaluation("operating_point.threshold"),
            Destination("Evaluator", "eval_config", "threshold"),
        ),
        "score from which an image counts as positive",
    ),
    **{
        rule: RuntimeParameter(
            _POINT["at_least"],
            _default_of_rule(rule, "at_least"),
            _in_evaluation("operating_point.at_least"),
            f"{rule} that the threshold must reach on validation",
        )
        for rule in ("sensitivity", "specificity")
    },
    "gate_auc": RuntimeParameter(
        GateRule.model_fields["min"],
        lambda c: c.evaluation.gate["auc"].min if "auc" in c.evaluation.gate else None,
        (
            *_in_evaluation("gate.auc.min"),
            Destination("Evaluator", "eval_config", "auc"),
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
# Node -> type of the options in its execution property.
_OPTIONS: Final[dict[str, type[Options]]] = {
    "Embedder": EmbedderOptions,
    "Trainer": TrainerOptions,
    "Tuner": TrainerOptions,
    "Gate": EvaluationOptions,
}


def valid_value(name: str, value: Any) -> Any:
    """Returns the value of a parameter in its type; text is parsed.

    Raises:
      PneumoError: no such parameter, or an invalid value.
    """
    if name not in PARAMETERS:
        raise PneumoError(unknown("parameter", name, PARAMETERS))
    parameter = PARAMETERS[name]
    fields: dict[str, Any] = {name: (parameter.kind, parameter.option)}
    try:
        return getattr(create_model("Values", **fields)(**{name: value}), name)
    except ValidationError as error:
        message = error.errors()[0]["msg"]
        raise PneumoError(
            f"parameter {name}={value!r}: {message}; {parameter.description}"
        ) from None


def apply_parameters(node: str, exec_properties: Mapping[str, Any]) -> dict[str, Any]:
    """Writes parameters into the properties of a task and resolves paths of package files.

    Args:
      node: id of the node, or path of its executor class.
      exec_properties: properties of the task, with parameters as `pneumo_NAME`. Not changed.

    Returns:
      The execution properties of the component.

    Raises:
      PneumoError: no such parameter, an invalid value, or the node does not have it.
    """
    node = next((_NODES[part] for part in reversed(node.split(".")) if part in _NODES), node)
    properties: dict[str, Any] = {}
    for key, value in exec_properties.items():
        if isinstance(value, str) and value.startswith(PACKAGE):
            properties[key] = str(ROOT / value.removeprefix(PACKAGE))
        elif not key.startswith(PREFIX):
            properties[key] = value
    for key in exec_properties.keys() - properties.keys():
        name = key.removeprefix(PREFIX)
        value = valid_value(name, exec_properties[key])
        destinations = [to for to in PARAMETERS[name].destinations if to.node == node]
        if not destinations:
            raise PneumoError(f"node {node} has no parameter {name}")
        for to in destinations:
            if to.key not in properties:
                raise PneumoError(f"node {node} has no property {to.key} for parameter {name}")
            properties[to.key] = _edited(properties[to.key], to, value) if to.field else value
    return properties


def _edited(text: str, to: Destination, value: Any) -> str:
    """Returns the options in an execution property with another value of one field."""
    try:
        if to.node == "Evaluator":
            return _edited_eval_config(text, to.field, value)
        if to.key == "config":
            return yaml.safe_dump(
                with_field(yaml.safe_load(text), to.field, value), sort_keys=False
            )
        options: Options = with_field(_OPTIONS[to.node].from_json(text), to.field, value)
        return options.to_json()
    except (ValidationError, KeyError) as error:
        raise PneumoError(
            f"node {to.node}: cannot set {to.field} in {to.key} ({type(error).__name__}); compile "
            "the pipeline again with this version"
        ) from None


def _edited_eval_config(text: str, field: str, value: float) -> str:
    """Sets the threshold or the lower bound of the AUC in an EvalConfig of TFMA."""
    config = json.loads(text)
    for metric in [metric for spec in config["metrics_specs"] for metric in spec["metrics"]]:
        settings = json.loads(metric.get("config") or "{}")
        if field == "threshold":
            if "threshold" in settings:
                metric["config"] = json.dumps(settings | {"threshold": value})
            elif "thresholds" in settings:
                metric["config"] = json.dumps(settings | {"thresholds": [value]})
        elif metric["class_name"] == "AUC":
            for bound in metric.get("per_slice_thresholds", []):
                bound["threshold"]["value_threshold"]["lower_bound"] = value
    return json.dumps(config, sort_keys=True)
