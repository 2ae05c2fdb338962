"""The error that a user sees as one line, and helpers for the text of errors."""

from collections.abc import Iterable


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
    import difflib

    names = {choice.lower(): choice for choice in choices}
    close = difflib.get_close_matches(value.lower(), names, 1)
    question = f"did you mean {names[close[0]]}? " if close else ""
    return f"{question}choose one of {', '.join(names.values())}"


def one_line(error: BaseException, limit: int = 300) -> str:
    """Returns the message of a library's error in one line; its class name if it has none."""
    text = getattr(error, "message", "") or str(error)
    return " ".join(str(text).split())[:limit] or type(error).__name__
