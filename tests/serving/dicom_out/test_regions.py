"""Boxes in reports: coordinates, clipping, and which predictions have them."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.dicom_out.content import Region, ReportContent, report_content, stored_boxes
from serving.dicom_out.finding import CERTAINTY, PNEUMONIA
from serving.predict.prediction import Prediction
from tests.serving.dicom_out.reports import (
    REGIONS,
    coded,
    hd,
    parse_content,
    pydicom,
    write_report,
)
from tests.support.images import identities


def test_regions_on_the_source_image() -> None:
    groups = parse_content(write_report()).get_planar_roi_measurement_groups()
    assert len(groups) == 2
    for number, (group, region) in enumerate(zip(groups, REGIONS, strict=True), 1):
        roi = group.roi
        assert roi.graphic_type == hd.sr.GraphicTypeValues.POLYLINE
        y0, x0, y1, x1 = region.box
        assert roi.value.tolist() == [[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]]
        source = roi.ContentSequence[0].ReferencedSOPSequence[0]
        assert source.ReferencedSOPInstanceUID == identities.IDENTITIES["SOPInstanceUID"]
        assert source.ReferencedSOPClassUID == pydicom.uid.ComputedRadiographyImageStorage
        (certainty,) = group.get_measurements(name=coded(CERTAINTY))
        assert certainty.value == pytest.approx(100 * region.score)
        assert group.tracking_identifier == f"Region {number}"
        assert group.finding_type == coded(PNEUMONIA)


BOXES = st.tuples(*[st.floats(0, 1, width=32)] * 4).map(
    lambda e: (min(e[0], e[2]), min(e[1], e[3]), max(e[0], e[2]), max(e[1], e[3]))
)


@given(
    stored=st.tuples(st.integers(1, 5000), st.integers(1, 5000)),
    displayed=st.tuples(st.integers(1, 5000), st.integers(1, 5000)),
    part=BOXES,
)
def test_boxes_cover_the_same_fraction_of_the_stored_image(
    stored: tuple[int, int], displayed: tuple[int, int], part: tuple[float, float, float, float]
) -> None:
    """Images with pixels that are not square were resampled for the model."""
    source = pydicom.Dataset()
    source.Rows, source.Columns = stored
    sides = (*displayed, *displayed)
    box = tuple(edge * side for edge, side in zip(part, sides, strict=True))
    content = ReportContent("POSITIVE", 1.0, (Region(box, 1.0),), displayed)  # type: ignore[arg-type]
    (stored_box,) = stored_boxes(source, content)
    if part[2] > part[0] and part[3] > part[1]:
        back = [edge / side for edge, side in zip(stored_box, (*stored, *stored), strict=True)]
        assert back == pytest.approx(part, abs=1e-9)


def test_boxes_are_clipped_and_dropped_without_area() -> None:
    outside = (Region((-5.0, -5.0, 30.0, 200.0), 0.5), Region((70.0, 10.0, 90.0, 20.0), 0.4))
    (group,) = parse_content(
        write_report(ReportContent("POSITIVE", 0.9, outside, (60, 80)))
    ).get_planar_roi_measurement_groups()
    assert group.roi.value.min() == 0
    assert group.roi.value.max(axis=0).tolist() == [80, 30]


def test_boxes_without_the_displayed_size_are_an_error() -> None:
    with pytest.raises(ValueError, match="size of the displayed image"):
        write_report(ReportContent("POSITIVE", 0.9, REGIONS, None))


def test_a_negative_image_has_no_regions() -> None:
    """The maximum of its heat map is not a finding."""
    prediction = Prediction(
        "a",
        decision="NEGATIVE",
        score=0.1,
        height=60,
        width=80,
        boxes=[[1.0, 2.0, 3.0, 4.0]],
        box_scores=[0.9],
    )
    assert report_content(prediction).regions == ()
    for decision in ("POSITIVE", "REFER"):
        (region,) = report_content(replace(prediction, decision=decision)).regions
        assert region == Region((1.0, 2.0, 3.0, 4.0), 0.9)
    assert report_content(Prediction("a", decision="POSITIVE", score=0.9)).regions == ()
