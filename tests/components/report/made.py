"""Predictions with a hostile file name."""

from dataclasses import replace
from typing import Any

from components.evaluation.answers import Answers
from schema.labels import BINARY, Task
from tests.components.evaluation.given import answers

EVIL = "<img src=x onerror=alert(1)>.jpeg"


def predicted(n: int = 40, seed: int = 0, of: Task = BINARY, **more: Any) -> Answers:
    found = answers(n, seed, of=of, skill=1.0, **more)
    names = found.filename.astype(object)
    names[:1] = EVIL
    return replace(found, filename=names.astype(str))
