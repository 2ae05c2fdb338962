"""Root cause in an error message of Python tracebacks, such as those of Beam's workers."""

import re
from typing import Final

_START: Final = "Traceback (most recent call last):"
_ERROR: Final = re.compile(r"([A-Za-z_][\w.]*)(?:: ?(.*))?")
_STEP: Final = re.compile(r" \[while running '[^']*'\]$")
_HANDLED: Final = "During handling of the above exception"
# Raised by look-ups, which are often followed by the handler whose error matters.
_LOOKUPS: Final = ("AttributeError", "IndexError", "KeyError", "StopIteration")


def root_cause(text: str) -> tuple[str, str] | None:
    """Returns the error that the others in a text of tracebacks follow from.

    Python prints the cause first: later errors name it as their cause, happened while it was
    handled, or repeat its traceback. A failed look-up that was being handled is not the cause.

    Returns:
      class name without its module, and the first line of the message without Beam's name of the
      step; None if the text has no traceback.
    """
    lines = text.splitlines()
    errors: list[tuple[str, str]] = []
    inside = False
    for number, line in enumerate(lines):
        if line.rstrip().endswith(_START):
            inside = True
            continue
        match = _ERROR.fullmatch(line.rstrip()) if inside else None
        if match is None:
            continue
        inside = False
        errors.append((match[1].rpartition(".")[2], _message(match[2], lines[number + 1 :])))
        if errors[-1][0] not in _LOOKUPS or not _is_handled(lines[number + 1 :]):
            return errors[-1]
    return errors[-1] if errors else None


def _message(first: str | None, following: list[str]) -> str:
    """Returns the first line of a message that is not empty."""
    candidates = [] if first is None else [first, *following[:5]]
    return next((_STEP.sub("", line.strip()) for line in candidates if line.strip()), "")


def _is_handled(following: list[str]) -> bool:
    """Whether the next traceback is of an error that a handler raised."""
    for line in following:
        if line.startswith(_HANDLED):
            return True
        if line.rstrip().endswith(_START):
            return False
    return False
