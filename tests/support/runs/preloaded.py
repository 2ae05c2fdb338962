"""Modules preloaded before a fork; nothing here may start threads or build a graph."""

import tfx.v1  # noqa: F401, I001  before TFMA
import tensorflow_model_analysis  # noqa: F401

import pipeline.cli
import pipeline.runners.local  # noqa: F401
