"""Answers from a SavedModel in this process about a stream of files, DICOM among them."""

import itertools
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from schema.errors import PneumoError
from serving.answer import rejected
from serving.dicom import is_dicom
from serving.predict import Model, Prediction, predict_files


def predict_stream(model: Model, files: Iterable[Path], batch_size: int) -> Iterator[Prediction]:
    """One answer for each file, in order; holds one batch at a time."""
    source = iter(files)
    while batch := list(itertools.islice(source, batch_size)):
        yield from _answer(model, batch, batch_size)


def _answer(model: Model, batch: list[Path], batch_size: int) -> Iterator[Prediction]:
    from serving.client.images import read_file

    with tempfile.TemporaryDirectory(prefix="pneumo-dicom-") as folder:
        asked: list[Path] = []
        failed: dict[int, str] = {}
        for i, path in enumerate(batch):
            if not _is_dicom(path):
                asked.append(path)
                continue
            try:
                rendered = Path(folder) / f"{i}.png"
                rendered.write_bytes(read_file(path))
                asked.append(rendered)
            except PneumoError as error:
                failed[i] = str(error)
        answers = predict_files(model, asked, batch_size)
        for i, path in enumerate(batch):
            if i in failed:
                yield rejected(str(path), failed[i])
            else:
                answer = replace(next(answers), file=str(path))
                yield rejected(answer.file, answer.error, answer.status) if answer.error else answer


def _is_dicom(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return is_dicom(file.read(132))
    except OSError:
        return False
