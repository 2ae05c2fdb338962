"""The graph, its configuration, the ways to run it, and the command line.

Usage:
  from pipeline import Run, load_config

  run = Run.open("pneumo_runs/xception")
  print(run.metrics["auc"], run.predictions("test").head())
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.config_file import load_config
    from pipeline.pipeline import create_pipeline
    from pipeline.results import Run

__all__ = ["Run", "create_pipeline", "load_config"]

# Loaded on first use, so that `pneumo --help` imports nothing heavy.
_MODULES = {"Run": "results", "create_pipeline": "pipeline", "load_config": "config_file"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_MODULES[name]}", __name__), name)
