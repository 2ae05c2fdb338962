"""Loads a configuration from YAML, with overrides and one-line errors."""

import importlib.resources
import itertools
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from core.ingest.names.folding import fold_label
from core.reporting.monitor.options import MonitorOptions
from pipeline.config import Config
from pipeline.engines.options import BeamOptions
from schema.errors import PneumoError, nearest, one_line, unknown

log = logging.getLogger("pneumo.config")

_Options = TypeVar("_Options", bound=BaseModel)
_GPUS: Final = (
    "the Trainer uses all GPUs of its machine, on a cluster those of deploy.resources.Trainer"
)
# Keys of earlier versions -> what to do instead.
_REMOVED: Final = {
    "training.distribution": _GPUS,
    "training.processes": _GPUS,
    "deploy.vertex_training": _GPUS,
}
# Keys of the previous release -> their names now; accepted for one release.
_RENAMED: Final = {
    "model.trunk": "backbone",
    "model.detector.train_trunk": "train_backbone",
    "training.fine_tune.from_cut": "trainable_from",
    "training.embedding.cut": "layer",
    "evaluation.abstain": "refer",
}


def shipped() -> dict[str, Path]:
    """Returns name -> file of the shipped configurations."""
    folder = Path(str(importlib.resources.files("pipeline") / "configs"))
    return {file.stem: file for file in sorted(folder.glob("*.yaml"))}


def header(file: Path) -> dict[str, str]:
    """Returns the comment at the top of a shipped configuration: key -> text, lines joined."""
    fields: dict[str, str] = {}
    key = ""
    for line in itertools.takewhile(lambda line: line.startswith("#"), file.open()):
        text = line.lstrip("#").strip()
        if match := re.match(r"([a-z]+): (.*)", text):
            key, text = match[1], match[2]
        fields[key] = f"{fields.get(key, '')} {text}".strip()
    return fields


def find(source: str) -> Path:
    """Returns the file of a configuration.

    Args:
      source: a YAML file, or the name of a shipped configuration.

    Raises:
      PneumoError: neither exists.
    """
    path, names = Path(source), shipped()
    if path.is_file():
        return path
    if source not in names:
        raise PneumoError(f"{unknown('configuration', source, names)}, or give a YAML file")
    return names[source]


def load_config(
    source: str | Path, overrides: Sequence[str] = (), ingest: Mapping[str, Any] | None = None
) -> Config:
    """Loads a configuration.

    Args:
      source: a YAML file, or the name of a shipped configuration.
      overrides: `key.key=value` each, the value in YAML; later ones win.
      ingest: values of data.ingest, as the options of `pneumo run` give them; a class map is added
        to that of the file.

    Raises:
      PneumoError: no such file, not YAML, or a wrong key or value.
    """
    path = find(str(source))
    try:
        values = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise PneumoError(f"{path} is not YAML: {one_line(error)}") from None
    if not isinstance(values, dict):
        raise PneumoError(f"{path} must contain a mapping with name, data, model, ...; it is empty")
    _rename_old_keys(values, str(path))
    for override in overrides:
        _override(values, override)
        _rename_old_keys(values, f"--set {override}", override=True)
    for key, hint in _REMOVED.items():
        group, _, name = key.partition(".")
        if isinstance(values.get(group), dict) and name in values[group]:
            raise PneumoError(f"{path}: key {key} was removed; {hint}")
    if ingest:
        _set_ingest(values, ingest)
    return validate(Config, values, source=f"{path}: ")


def _set_ingest(values: dict[str, Any], ingest: Mapping[str, Any]) -> None:
    group: Any = values
    for key in ("data", "ingest"):
        group[key] = group.get(key) or {}
        group = group[key]
        if not isinstance(group, dict):
            return  # reported by the validation
    added = {fold_label(name): pathogen for name, pathogen in ingest.get("class_map", {}).items()}
    class_map = group.get("class_map") or {}
    group.update(ingest)
    if isinstance(class_map, dict):
        kept = {name: p for name, p in class_map.items() if fold_label(str(name)) not in added}
        group["class_map"] = kept | added


def monitor_options(values: dict[str, Any], overrides: Sequence[str]) -> MonitorOptions:
    """Loads only the section `monitor`, with overrides as in `load_config`.

    Raises:
      PneumoError: a wrong key or value.
    """
    whole: dict[str, Any] = {"monitor": dict(values)}
    for override in overrides:
        _override(whole, override)
    if other := whole.keys() - {"monitor"}:
        raise PneumoError(f"--set {other.pop()}...: only keys of the section monitor are allowed")
    return validate(MonitorOptions, whole["monitor"], "monitor")


def beam_options(pairs: Sequence[str]) -> BeamOptions:
    """Loads only the section `beam`, from the `key=value` pairs of `--beam-set`.

    Raises:
      PneumoError: a wrong key or value.
    """
    values: dict[str, Any] = {}
    for pair in pairs:
        _override(values, pair, "--beam-set", "parallelism=4")
    return validate(BeamOptions, values, "beam")


def validate(options: type[_Options], values: Any, section: str = "", source: str = "") -> _Options:
    """Returns validated options.

    Args:
      options: class of the options.
      values: mapping of keys to values.
      section: section of the configuration; messages put its name before the key.
      source: text before every message, such as the name of the file.

    Raises:
      PneumoError: a wrong key or value.
    """
    try:
        return options.model_validate(values)
    except ValidationError as error:
        raise PneumoError(f"{source}{_first_of(options, error, section)}") from None


def _rename_old_keys(values: dict[str, Any], source: str, override: bool = False) -> None:
    """Replaces keys of the previous release, with a warning for each.

    Args:
      values: of the whole configuration.
      source: file or option, for the message.
      override: the value of an old key replaces that of the new key, which the file has set.

    Raises:
      PneumoError: a file has both keys.
    """
    for key, new in _RENAMED.items():
        *parents, old = key.split(".")
        group: Any = values
        for parent in parents:
            group = group.get(parent) if isinstance(group, dict) else None
        if isinstance(group, dict) and old in group:
            if new in group and not override:
                raise PneumoError(
                    f"{source}: {key} is now named {new}, and both are set; remove one"
                )
            log.warning("%s: key %s is now named %s; rename it", source, key, new)
            group[new] = group.pop(old)


def _override(
    values: dict[str, Any],
    text: str,
    option: str = "--set",
    example: str = "training.epochs=5",
) -> None:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise PneumoError(f"{option} takes key=value, such as {example}; not {text!r}")
    *parents, last = key.strip().split(".")
    at = values
    for parent in parents:
        child = at.setdefault(parent, {})
        if not isinstance(child, dict):
            raise PneumoError(f"{option} {text}: {parent!r} holds a value, not a group of keys")
        at = child
    try:
        at[last] = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise PneumoError(f"{option} {text}: {one_line(error)}") from None


def _first_of(options: type[BaseModel], error: ValidationError, section: str) -> str:
    first = error.errors()[0]
    where = ".".join(filter(None, [section, *map(str, first["loc"])]))
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    if first["type"] == "extra_forbidden":
        *parents, key = map(str, first["loc"])
        return f"unknown key {where}; {nearest(key, _keys(options, parents))}{more}"
    if first["type"] == "missing":
        return f"key {where} is missing{more}"
    if first["type"] == "literal_error":
        choices = re.findall(r"'([^']*)'", first["ctx"]["expected"])
        return f"{where}: {unknown('value', first['input'], choices)}{more}"
    message = first["msg"].removeprefix("Value error, ")
    value = "" if first["type"] == "value_error" else f", not {first['input']!r}"
    return f"{where}: {message}{value}{more}" if where else f"{message}{value}{more}"


def _keys(options: type[BaseModel], parents: Sequence[str]) -> list[str]:
    """Returns the keys of the group at `parents`."""
    annotation: Any = options
    for parent in parents:
        origin, kinds = get_origin(annotation), get_args(annotation)
        if origin in (dict, tuple):  # `parent` is a key of the mapping or a position in the list
            annotation = kinds[1] if origin is dict else kinds[0]
        else:
            annotation = _model(annotation).model_fields[parent].annotation
    return list(_model(annotation).model_fields)


def _model(annotation: Any) -> type[BaseModel]:
    """Returns the model of an annotation such as `Options | None`."""
    kinds = (annotation, *get_args(annotation))
    return next(kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel))
