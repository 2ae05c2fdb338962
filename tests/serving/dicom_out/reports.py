"""Reports for tests, read back by the libraries."""

import datetime
import io
from typing import Any

import numpy as np
import pytest

from serving.dicom_out.algorithm import Algorithm
from serving.dicom_out.content import Region, ReportContent
from serving.dicom_out.finding import PNEUMONIA, Concept
from serving.dicom_out.report import make_report
from tests.support.images import dicoms

pydicom = pytest.importorskip("pydicom", reason="needs the extra `dicom`")
hd = pytest.importorskip("highdicom", reason="needs the extra `dicom`")

NOW = datetime.datetime(2024, 5, 6, 7, 8, 9)
ALGORITHM = Algorithm("pneumo", "1700000000", "ab" * 32, ("Research software", "Operating point"))
PIXELS = np.arange(60 * 80, dtype=np.uint16).reshape(60, 80)
REGIONS = (Region((10.0, 20.0, 30.5, 40.25), 0.875), Region((0.0, 0.0, 60.0, 80.0), 0.25))
POSITIVE = ReportContent("POSITIVE", 0.8125, REGIONS, (60, 80))


def write_report(
    content: ReportContent = POSITIVE,
    algorithm: Algorithm = ALGORITHM,
    now: Any = NOW,
    **attributes: Any,
) -> Any:
    """Returns a report read back from its bytes."""
    source = dicoms.make_dataset(PIXELS, bits_stored=13, **attributes)
    out = io.BytesIO()
    make_report(source, content, algorithm, PNEUMONIA, now).save_as(out, enforce_file_format=True)
    return pydicom.dcmread(io.BytesIO(out.getvalue()))


def parse_content(report: Any) -> Any:
    return hd.sr.ComprehensiveSR.from_dataset(report).content


def coded(concept: Concept) -> Any:
    return hd.sr.CodedConcept(concept.value, concept.scheme, concept.meaning)
