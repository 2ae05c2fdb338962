"""Runs the command line as a user does, on phantoms."""

from pathlib import Path

import pytest

CONFIG = """
name: small
model: {trunk: InceptionV3, weights: random, image_size: 75}
training: {epochs: 6, embedding: {batch_size: 16}}
evaluation: {resamples: 100, gate: {auc: {min: 0.0}}}
serving: {infra_validation: savedmodel}
"""


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from components.phantom.dataset import write_phantoms

    folder = tmp_path_factory.mktemp("data") / "phantoms"
    write_phantoms(folder, 96, 1, size=128)
    return folder


@pytest.fixture(scope="session")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("config") / "small.yaml"
    file.write_text(CONFIG)
    return file
