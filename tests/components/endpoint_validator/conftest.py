"""Phantoms, and what the small model predicts for them."""

from pathlib import Path

import pytest

from components.endpoint_validator.verdict import ScorerPrediction
from tests.components.endpoint_validator.scored import Scored


@pytest.fixture(scope="package")
def scored(small_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Scored:
    from serving.predict.local_model import load_model, predict_files
    from tests.support.models.small_model import phantoms

    folder = tmp_path_factory.mktemp("scored")
    contents = phantoms(folder, 6)
    files = [folder / f"{number}.jpeg" for number in range(len(contents))]
    for file, content in zip(files, contents, strict=True):
        file.write_bytes(content)
    model = load_model(small_model)
    predictions = list(predict_files(model, files))
    expected = [
        ScorerPrediction(str(i), f"{i}.jpeg", got.score or 0.0, list(got.probabilities.values()))
        for i, got in enumerate(predictions)
    ]
    return Scored(contents, predictions, expected, model.info)
