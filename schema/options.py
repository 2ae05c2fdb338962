"""Base class of the sections of a configuration and of the options of a node."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError

from schema.errors import PneumoError, closest, nearest, unknown

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_Options = TypeVar("_Options", bound=BaseModel)


class Options(BaseModel):
    """A group of options: immutable, with typed values and without unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def to_json(self) -> str:
        """Returns the options as JSON; equal options give equal text."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Parses and validates the text of `to_json`.

        Raises:
          pydantic.ValidationError: the text is not JSON, or has a wrong key or value.
        """
        return cls.model_validate_json(text)


def with_field(group: Any, name: str, value: Any) -> Any:
    """Returns a copy of options in which one field has another value.

    Args:
      group: `Options`, a dataclass or a dictionary, nested at will.
      name: dotted name of an existing field, such as training.epochs or gate.auc.min.
      value: new value; it is not validated.

    Raises:
      KeyError: there is no such field, or a section above it is not set.
    """
    first, _, rest = name.partition(".")
    fields = group if isinstance(group, dict) else getattr(group, "__dict__", {})
    if first not in fields:
        raise KeyError(name)
    new = with_field(fields[first], rest, value) if rest else value
    if isinstance(group, dict):
        return {**group, first: new}
    if isinstance(group, BaseModel):
        return group.model_copy(update={first: new})
    return replace(group, **{first: new})


def check_text_keys(value: object) -> object:
    """Returns a mapping of names unchanged, if its keys are texts.

    Raises:
      ValueError: YAML reads a key as something else.
    """
    for key in value if isinstance(value, dict) else ():
        if not isinstance(key, str):
            raise ValueError(
                f"YAML reads a key as {str(key).lower()}, not as text (NO and off are false, YES "
                'and on true, 0 is a number, 2024-01-31 a date); quote it, as in "NO": normal'
            )
    return value


def validate(options: type[_Options], values: Any) -> _Options:
    """Returns validated options.

    Raises:
      PneumoError: a wrong key or value.
    """
    errors = validation_errors(options, values)
    if errors:
        raise PneumoError(describe(options, errors))
    return options.model_validate(values)


def validation_errors(options: type[BaseModel], values: Any) -> "list[ErrorDetails]":
    """Returns what is wrong with the values of options; empty if they are valid."""
    try:
        options.model_validate(values)
    except ValidationError as error:
        return error.errors()
    return []


def describe(options: type[BaseModel], errors: Sequence["ErrorDetails"], section: str = "") -> str:
    """Returns the first error as one line, with the nearest key or choice.

    Args:
      options: class of the options.
      errors: of `validation_errors`; not empty.
      section: section of the configuration; messages put its name before the key.
    """
    first = errors[0]
    where = ".".join(filter(None, [section, *map(str, first["loc"])]))
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    if first["type"] == "extra_forbidden":
        *parents, key = map(str, first["loc"])
        return f"unknown key {where}; {_nearest_key(options, parents, key)}{more}"
    if first["type"] == "missing":
        return f"key {where} is missing{more}"
    if first["type"] == "literal_error":
        choices = re.findall(r"[^', ]+(?=')|-?\d+", first["ctx"]["expected"])
        return f"{where}: {unknown('value', first['input'], choices)}{more}"
    if first["type"] == "bool_parsing":
        return f"{where}: {unknown('value', first['input'], ('true', 'false'))}{more}"
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


def _nearest_key(options: type[BaseModel], parents: Sequence[str], key: str) -> str:
    """Returns the keys of a group as a hint: the nearest first, or the same name elsewhere."""
    keys = _keys(options, parents)
    if not closest(key, keys):
        elsewhere = [path for path in _paths(options) if path.rpartition(".")[2] == key]
        if 0 < len(elsewhere) <= 3:
            return f"did you mean {' or '.join(elsewhere)}? choose one of {', '.join(keys)}"
    return nearest(key, keys)


def _paths(options: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Yields the dotted name of every key, without those in lists and mappings."""
    for name, field in options.model_fields.items():
        yield prefix + name
        listed = get_origin(field.annotation) in (dict, tuple)
        for kind in () if listed else (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from _paths(kind, f"{prefix}{name}.")
