"""Loads a configuration from YAML, with overrides and one-line errors."""

import copy
import importlib.resources
import itertools
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import yaml
from pydantic import BaseModel

from core.ingest.names.folding import fold_label
from core.reporting.monitor.options import MonitorOptions
from pipeline.config import Config
from pipeline.engines.options import BeamOptions
from schema.errors import PneumoError, one_line, unknown
from schema.options import describe, validation_errors

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
        text = path.read_text()
        values = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise PneumoError(f"{path} is not YAML: {one_line(error)}") from None
    if not isinstance(values, dict):
        raise PneumoError(f"{path} must contain a mapping with name, data, model, ...; it is empty")
    _rename_old_keys(values, str(path))
    merged = _merge(values, overrides)
    origins = [str(path), *(f"--set {override}" for override in overrides)]
    for key, hint in _REMOVED.items():
        group, _, name = key.partition(".")
        for origin, state in zip(origins, merged, strict=True):
            if isinstance(state.get(group), dict) and name in state[group]:
                raise PneumoError(f"{origin}: key {key} was removed; {hint}")
    if ingest:
        merged.append(copy.deepcopy(merged[-1]))
        origins.append("options of ingest")
        _set_ingest(merged[-1], ingest)
    return _validate_merged(Config, merged, origins, text)


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
    merged = _merge({"monitor": dict(values)}, overrides)
    if other := merged[-1].keys() - {"monitor"}:
        raise PneumoError(f"--set {other.pop()}...: only keys of the section monitor are allowed")
    origins = ["options of the model", *(f"--set {override}" for override in overrides)]
    sections = [state["monitor"] for state in merged]
    return _validate_merged(MonitorOptions, sections, origins, section="monitor")


def beam_options(pairs: Sequence[str]) -> BeamOptions:
    """Loads only the section `beam`, from the `key=value` pairs of `--beam-set`.

    Raises:
      PneumoError: a wrong key or value.
    """
    merged = _merge({}, pairs, "--beam-set", "parallelism=4")
    origins = ["defaults", *(f"--beam-set {pair}" for pair in pairs)]
    return _validate_merged(BeamOptions, merged, origins, section="beam")


def _merge(
    values: dict[str, Any],
    overrides: Sequence[str],
    option: str = "--set",
    example: str = "training.epochs=5",
) -> list[dict[str, Any]]:
    """Returns the values, and the values after each override."""
    merged = [values]
    for override in overrides:
        merged.append(copy.deepcopy(merged[-1]))
        _override(merged[-1], override, option, example)
        if option == "--set":
            _rename_old_keys(merged[-1], f"--set {override}", override=True)
    return merged


def _validate_merged(
    options: type[_Options],
    merged: Sequence[dict[str, Any]],
    origins: Sequence[str],
    text: str = "",
    section: str = "",
) -> _Options:
    """Validates the last of `merged`; an error names the origin that brought it in.

    Args:
      options: class of the options.
      merged: values of the file, and after each override.
      origins: the file and each override, for messages.
      text: YAML of the file, for the number of the line; empty: no file.
      section: section of the configuration; messages put its name before the key.

    Raises:
      PneumoError: a wrong key or value.
    """
    errors = validation_errors(options, merged[-1])
    if not errors:
        return options.model_validate(merged[-1])
    wrong = (errors[0]["loc"], errors[0]["type"], errors[0]["msg"])
    origin = len(merged) - 1
    while origin and wrong in (
        (error["loc"], error["type"], error["msg"])
        for error in validation_errors(options, merged[origin - 1])
    ):
        origin -= 1
    where = origins[origin]
    if text and not origin:
        where = f"{where}:{_line(text, errors[0]['loc'])}"
    raise PneumoError(f"{where}: {describe(options, errors, section)}")


def _line(text: str, loc: Sequence[int | str]) -> int:
    """Returns the line of the key at `loc`, or of the nearest group above it in the file."""
    old = {f"{key.rpartition('.')[0]}.{new}": key for key, new in _RENAMED.items()}
    node, line, at = yaml.compose(text, yaml.SafeLoader), 1, ""
    for part in loc:
        at = f"{at}.{part}".lstrip(".")
        names = {str(part), old.get(at, at).rpartition(".")[2]}
        pairs: list[tuple[Any, Any]] = []
        if isinstance(node, yaml.MappingNode):
            pairs = [(key, value) for key, value in node.value if key.value in names]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            pairs = [(value, value) for value in node.value[part : part + 1]]
        if not pairs:
            break
        line, node = pairs[0][0].start_mark.line + 1, pairs[0][1]
    return line


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
