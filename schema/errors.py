"""The error that a user sees as one line, and helpers for the text of errors."""

import re
from collections.abc import Iterable
from typing import Final

# Lines of Python tracebacks, such as those of Beam's workers.
_START: Final = "Traceback (most recent call last):"
_ERROR: Final = re.compile(r"([A-Za-z_][\w.]*)(?:: ?(.*))?")
_STEP: Final = re.compile(r" \[while running '[^']*'\]$")
_HANDLED: Final = "During handling of the above exception"
# Raised by look-ups, which are often followed by the handler whose error matters.
_LOOKUPS: Final = ("AttributeError", "IndexError", "KeyError", "StopIteration")


class PneumoError(Exception):
    """Invalid input, or a state that the user can repair.

    The message is one line: what is wrong, where, and how to fix it. The command line prints it
    without a traceback and exits with 2.
    """


def unknown(kind: str, value: object, choices: Iterable[str]) -> str:
    """Returns the message for a value outside a closed set, with the nearest choice."""
    return f"unknown {kind} {value!r}; {nearest(str(value), choices)}"


def nearest(value: str, choices: Iterable[str]) -> str:
    """Returns the choices as a hint, with the one nearest to `value` in front."""
    names = list(choices)
    close = closest(value, names)
    question = f"did you mean {close}? " if close else ""
    return f"{question}choose one of {', '.join(names)}"


def closest(value: str, choices: Iterable[str]) -> str:
    """Returns the choice that a mistyped value most likely means; empty if none is similar.

    Case, separators and one mistake in three characters are tolerated: the optimal string alignment
    distance counts insertions, deletions, replacements and swaps of neighbors. Longer omissions,
    such as `inception`, are left to difflib.
    """
    import difflib

    typed = _letters(value)
    names = {choice: _letters(choice) for choice in choices}
    distances = {choice: _distance(typed, name) for choice, name in names.items()}
    best = min(distances, key=lambda choice: distances[choice], default="")
    if best and distances[best] <= max(1, len(names[best]) // 3) and typed:
        return best
    close = difflib.get_close_matches(typed, names.values(), 1)
    return next((choice for choice, name in names.items() if name in close), "")


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))


def _distance(a: str, b: str) -> int:
    """Optimal string alignment distance (Damerau-Levenshtein without edits of swapped pairs)."""
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, last, row = row, before, [i]
        for j, y in enumerate(b, 1):
            row.append(min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (x != y)))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                row[j] = min(row[j], last[j - 2] + 1)
    return row[-1]


def one_line(error: BaseException, limit: int = 300) -> str:
    """Returns the message of a library's error in one line; its class name if it has none."""
    text = getattr(error, "message", "") or str(error)
    return " ".join(str(text).split())[:limit] or type(error).__name__


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
