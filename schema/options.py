"""Base class of the sections of a configuration and of the options of a node."""

import json
from dataclasses import replace
from typing import Any, Self

from pydantic import BaseModel, ConfigDict


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
