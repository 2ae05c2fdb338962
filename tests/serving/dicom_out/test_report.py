"""Structured reports, read back by the libraries."""

import datetime
import io
import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema.errors import PneumoError
from schema.labels import BACTERIA_VIRUS, TASKS
from serving.dicom_out.algorithm import Algorithm, algorithm_of, parameters_of
from serving.dicom_out.finding import (
    BACTERIAL,
    CERTAINTY,
    DECISIONS,
    OPACITY,
    PNEUMONIA,
    PRESENCE,
    PROBABILITY,
    Concept,
    finding_of,
)
from serving.dicom_out.report import CARRIED, Region, Result, make_report, result_of, stored_boxes
from serving.predict.prediction import Prediction
from tests.support.images import dicoms, identities

pydicom = pytest.importorskip("pydicom", reason="needs the extra `dicom`")
hd = pytest.importorskip("highdicom", reason="needs the extra `dicom`")

NOW = datetime.datetime(2024, 5, 6, 7, 8, 9)
ALGORITHM = Algorithm("pneumo", "1700000000", "ab" * 32, ("Research software", "Operating point"))
PIXELS = np.arange(60 * 80, dtype=np.uint16).reshape(60, 80)
REGIONS = (Region((10.0, 20.0, 30.5, 40.25), 0.875), Region((0.0, 0.0, 60.0, 80.0), 0.25))
FOUND = Result("POSITIVE", 0.8125, REGIONS, (60, 80))


def written(
    result: Result = FOUND, algorithm: Algorithm = ALGORITHM, now: Any = NOW, **attributes: Any
) -> Any:
    """A report as it is read from its bytes."""
    source = dicoms.make_dataset(PIXELS, bits_stored=13, **attributes)
    out = io.BytesIO()
    make_report(source, result, algorithm, PNEUMONIA, now).save_as(out, enforce_file_format=True)
    return pydicom.dcmread(io.BytesIO(out.getvalue()))


def content(report: Any) -> Any:
    return hd.sr.ComprehensiveSR.from_dataset(report).content


def code(concept: Concept) -> Any:
    return hd.sr.CodedConcept(concept.value, concept.scheme, concept.meaning)


def test_the_document_is_what_the_standard_demands() -> None:
    """Each module that is mandatory: type 1 has a value, type 2 is there."""
    from highdicom._standard_utils import get_iod_module_map, get_module_attribute_map

    report = written()
    checked = 0
    for module in get_iod_module_map()["comprehensive-sr"]:
        # The content's attributes are listed there as if all items were one.
        if module["usage"] != "M" or module["key"] == "sr-document-content":
            continue
        for attribute in get_module_attribute_map()[module["key"]]:
            if attribute["path"] or attribute["type"] not in ("1", "2"):
                continue
            assert attribute["keyword"] in report, attribute
            if attribute["type"] == "1":
                assert report[attribute["keyword"]].value not in (None, ""), attribute
            checked += 1
    assert checked > 20


def test_the_document_is_a_preliminary_report_that_nobody_verified() -> None:
    report = written()
    assert report.SOPClassUID == pydicom.uid.ComprehensiveSRStorage
    assert report.Modality == "SR"
    assert (report.CompletionFlag, report.PreliminaryFlag, report.VerificationFlag) == (
        "COMPLETE",
        "PRELIMINARY",
        "UNVERIFIED",
    )
    assert report.ContentTemplateSequence[0].TemplateIdentifier == "1500"
    assert "not for diagnosis" in report.SeriesDescription
    assert (report.ContentDate, report.ContentTime) == ("20240506", "070809")


def test_the_finding_in_the_image() -> None:
    (group,) = content(written()).get_image_measurement_groups()
    assert group.finding_type == code(PNEUMONIA)
    (probability,) = group.get_measurements(name=code(PROBABILITY))
    assert probability.value == 0.8125
    (presence,) = group.get_qualitative_evaluations(name=code(PRESENCE))
    assert presence.value == code(DECISIONS["POSITIVE"])
    (image,) = group.source_images
    assert image.referenced_sop_instance_uid == identities.IDENTITIES["SOPInstanceUID"]
    assert image.referenced_sop_class_uid == pydicom.uid.ComputedRadiographyImageStorage


@pytest.mark.parametrize(
    ("decision", "meaning"),
    [("POSITIVE", "Present"), ("NEGATIVE", "Absent"), ("REFER", "Presence Undetermined")],
)
def test_decisions(decision: str, meaning: str) -> None:
    (group,) = content(written(Result(decision, 0.5))).get_image_measurement_groups()
    (presence,) = group.get_qualitative_evaluations(name=code(PRESENCE))
    assert presence.value.meaning == meaning


def test_regions_on_the_source_image() -> None:
    groups = content(written()).get_planar_roi_measurement_groups()
    assert len(groups) == 2
    for number, (group, region) in enumerate(zip(groups, REGIONS, strict=True), 1):
        roi = group.roi
        assert roi.graphic_type == hd.sr.GraphicTypeValues.POLYLINE
        y0, x0, y1, x1 = region.box
        assert roi.value.tolist() == [[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]]
        source = roi.ContentSequence[0].ReferencedSOPSequence[0]
        assert source.ReferencedSOPInstanceUID == identities.IDENTITIES["SOPInstanceUID"]
        assert source.ReferencedSOPClassUID == pydicom.uid.ComputedRadiographyImageStorage
        (certainty,) = group.get_measurements(name=code(CERTAINTY))
        assert certainty.value == pytest.approx(100 * region.score)
        assert group.tracking_identifier == f"Region {number}"
        assert group.finding_type == code(PNEUMONIA)


def texts(item: Any, value: str) -> list[str]:
    """All texts of a concept below an item."""
    found = []
    for child in item.get("ContentSequence", ()):
        name = child.get("ConceptNameCodeSequence")
        if name and name[0].CodeValue == value and "TextValue" in child:
            # pydicom reads a text with a backslash as several
            found.append(str(child.TextValue))
        found += texts(child, value)
    return found


def test_each_group_says_who_says_it() -> None:
    report = written()
    assert set(texts(report, "111001")) == {"pneumo"}
    assert set(texts(report, "111003")) == {f"1700000000 sha256:{'ab' * 32}"}
    assert set(texts(report, "111002")) == {"Research software", "Operating point"}
    assert len(texts(report, "111001")) == 3  # groups
    assert (report.Manufacturer, report.ManufacturerModelName) == ("PneumoTFX", "pneumo")
    assert report.SoftwareVersions == "1700000000"


def test_evidence_is_the_image_in_its_study() -> None:
    (study,) = written().CurrentRequestedProcedureEvidenceSequence
    assert study.StudyInstanceUID == identities.IDENTITIES["StudyInstanceUID"]
    (series,) = study.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == identities.IDENTITIES["SeriesInstanceUID"]
    (image,) = series.ReferencedSOPSequence
    assert image.ReferencedSOPInstanceUID == identities.IDENTITIES["SOPInstanceUID"]


def test_the_report_is_the_patients_and_carries_no_more_than_it_must() -> None:
    report = written()
    for keyword in ("StudyInstanceUID", *CARRIED):
        if keyword in identities.IDENTITIES:
            assert str(report[keyword].value) == identities.IDENTITIES[keyword], keyword
    assert report.SeriesInstanceUID != identities.IDENTITIES["SeriesInstanceUID"]
    out = io.BytesIO()
    report.save_as(out)
    needed = (*CARRIED, "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    allowed = {
        word
        for key in needed
        if key in identities.IDENTITIES
        for word in [identities.IDENTITIES[key], *identities.IDENTITIES[key].split("^")]
    }
    assert set(identities.leaks(out.getvalue())) <= allowed


def test_a_phantom_stays_one() -> None:
    assert written(QualityControlSubject="YES").QualityControlSubject == "YES"
    assert "QualityControlSubject" not in written()
    nameless = written(PatientIdentityRemoved="YES", DeidentificationMethod="by hand")
    assert nameless.PatientIdentityRemoved == "YES"
    assert nameless.DeidentificationMethod == "by hand"


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        (None, "Plain^Jane"),
        ("ISO_IR 100", "Müller^Zoë"),
        ("ISO_IR 192", "Łukasz^Żółć=山田^太郎"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("GB18030", "Wang^XiaoDong=王^小东"),
    ],
)
def test_names_in_any_script(charset: Any, name: str) -> None:
    report = written(SpecificCharacterSet=charset, PatientName=name)
    assert str(report.PatientName) == name


@pytest.mark.parametrize(
    "attributes",
    [
        {"PatientSex": "X"},
        {"PatientBirthDate": "the third of May"},
        {"PatientName": "no carets at all, and far too long a name" * 3},
        {"PatientID": None, "PatientName": None, "PatientBirthDate": None, "PatientSex": None},
        {"StudyDate": "", "StudyTime": "99", "AccessionNumber": None},
        {"InstanceNumber": "-3"},
        {"InstanceNumber": None},
    ],
)
def test_odd_attributes_are_carried_as_they_are(attributes: dict[str, Any]) -> None:
    with pydicom.config.disable_value_validation(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        report = written(**attributes)
        for keyword, value in attributes.items():
            if keyword in CARRIED:
                assert str(report[keyword].value) == (value or "")
    assert report.InstanceNumber >= 1


@pytest.mark.parametrize(
    "other",
    [
        {"result": Result("POSITIVE", 0.8126, REGIONS, (60, 80))},
        {"result": Result("REFER", 0.8125, REGIONS, (60, 80))},
        {"result": Result("POSITIVE", 0.8125, REGIONS[:1], (60, 80))},
        {"algorithm": Algorithm("pneumo", "1700000001", "ab" * 32)},
        {"algorithm": Algorithm("pneumo", "1700000000", "cd" * 32)},
        {"SOPInstanceUID": "1.2.3.4.5"},
    ],
)
def test_another_answer_is_another_document(other: dict[str, Any]) -> None:
    first, later = written(), written(now=NOW + datetime.timedelta(days=1))
    assert first == written()
    assert later.SOPInstanceUID == first.SOPInstanceUID != written(**other).SOPInstanceUID
    assert later.ContentDate != first.ContentDate


def test_reports_of_a_study_by_one_algorithm_are_one_series() -> None:
    one, two = written(), written(SOPInstanceUID="1.2.3.4.5", InstanceNumber=2)
    assert one.SeriesInstanceUID == two.SeriesInstanceUID
    assert (one.InstanceNumber, two.InstanceNumber) == (1, 2)
    assert written(StudyInstanceUID="1.2.3").SeriesInstanceUID != one.SeriesInstanceUID


def test_uids_are_uids_and_tell_nothing() -> None:
    report = written()
    assert pydicom.uid.UID(report.SOPInstanceUID).is_valid
    assert identities.IDENTITIES["SOPInstanceUID"] not in report.SOPInstanceUID


BOXES = st.tuples(*[st.floats(0, 1, width=32)] * 4).map(
    lambda e: (min(e[0], e[2]), min(e[1], e[3]), max(e[0], e[2]), max(e[1], e[3]))
)


@given(
    stored=st.tuples(st.integers(1, 5000), st.integers(1, 5000)),
    shown=st.tuples(st.integers(1, 5000), st.integers(1, 5000)),
    part=BOXES,
)
def test_boxes_keep_their_part_of_the_image(
    stored: tuple[int, int], shown: tuple[int, int], part: tuple[float, float, float, float]
) -> None:
    """Pixels that are not square were resampled before the model saw them."""
    source = pydicom.Dataset()
    source.Rows, source.Columns = stored
    sides = (*shown, *shown)
    box = tuple(edge * side for edge, side in zip(part, sides, strict=True))
    result = Result("POSITIVE", 1.0, (Region(box, 1.0),), shown)  # type: ignore[arg-type]
    (found,) = stored_boxes(source, result)
    if part[2] > part[0] and part[3] > part[1]:
        back = [edge / side for edge, side in zip(found, (*stored, *stored), strict=True)]
        assert back == pytest.approx(part, abs=1e-9)


def test_what_leaves_the_image_is_clipped_and_what_is_left_without_area_is_not_told() -> None:
    outside = (Region((-5.0, -5.0, 30.0, 200.0), 0.5), Region((70.0, 10.0, 90.0, 20.0), 0.4))
    (group,) = content(
        written(Result("POSITIVE", 0.9, outside, (60, 80)))
    ).get_planar_roi_measurement_groups()
    assert group.roi.value.min() == 0
    assert group.roi.value.max(axis=0).tolist() == [80, 30]


def test_boxes_without_the_size_they_were_measured_in_are_an_error() -> None:
    with pytest.raises(ValueError, match="size is not told"):
        written(Result("POSITIVE", 0.9, REGIONS, None))


def test_a_healthy_image_has_no_regions() -> None:
    """The warmest place of its heat map is no finding."""
    found = Prediction(
        "a",
        decision="NEGATIVE",
        score=0.1,
        height=60,
        width=80,
        boxes=[[1.0, 2.0, 3.0, 4.0]],
        box_scores=[0.9],
    )
    assert result_of(found).regions == ()
    for decision in ("POSITIVE", "REFER"):
        (region,) = result_of(replace(found, decision=decision)).regions
        assert region == Region((1.0, 2.0, 3.0, 4.0), 0.9)
    assert result_of(Prediction("a", decision="POSITIVE", score=0.9)).regions == ()


def test_every_shipped_task_has_a_finding_and_no_other() -> None:
    assert {name: finding_of(task.classes) for name, task in TASKS.items()} == {
        "binary": PNEUMONIA,
        "three_class": PNEUMONIA,
        "two_stage": PNEUMONIA,
        "bacteria_virus": BACTERIAL,
        "locate": OPACITY,
    }
    assert BACTERIA_VIRUS.classes[BACTERIA_VIRUS.positive[0]] == "BACTERIA"
    with pytest.raises(PneumoError, match=r"^[^\n]*no code .* of the classes CAT, DOG[^\n]*$"):
        finding_of(["CAT", "DOG"])


def test_codes_are_those_of_the_dictionaries() -> None:
    """Value and meaning as pydicom has them; SNOMED's own are not all there."""
    from pydicom.sr.codedict import codes

    for concept, known in (
        (PROBABILITY, codes.DCM.Probability),
        (CERTAINTY, codes.DCM.CertaintyOfFinding),
        (PRESENCE, codes.DCM.PresenceOfProperty),
        (DECISIONS["POSITIVE"], codes.DCM.Present),
        (DECISIONS["NEGATIVE"], codes.DCM.Absent),
        (DECISIONS["REFER"], codes.DCM.PresenceUndetermined),
        (OPACITY, codes.DCM.AbnormalOpacity),
    ):
        assert (concept.value, concept.scheme) == (known.value, known.scheme_designator)
        assert concept.meaning.lower() == known.meaning.lower()


def test_the_digest_follows_every_byte_of_the_model(tmp_path: Path) -> None:
    folder = tmp_path / "1700000000"
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"graph")
    (folder / "variables" / "data").write_bytes(b"weights")
    facts = json.loads('{"threshold": 0.25, "band": [0.2, 0.3], "boxes": {"kind": "weak"}}')
    first = algorithm_of(folder, facts, "pneumo")
    assert first.version == "1700000000"
    assert len(first.digest) == 64
    assert algorithm_of(folder, facts, "pneumo") == first
    (folder / "variables" / "data").write_bytes(b"Weights")
    assert algorithm_of(folder, facts, "pneumo").digest != first.digest
    (tmp_path / "current").symlink_to(folder)
    assert algorithm_of(tmp_path / "current", facts, "pneumo").version == "1700000000"
    folder.rename(tmp_path / "Format-Serving")
    assert algorithm_of(tmp_path / "Format-Serving", facts, "pneumo").version == "0"


def test_parameters_say_what_was_fixed() -> None:
    facts = {"threshold": 0.25, "band": [0.2, 0.3], "boxes": {"kind": "weak"}, "synthetic": True}
    told = parameters_of(facts)
    assert "not a medical device" in told[0]
    assert [sentence.split(":")[0] for sentence in told[1:]] == [
        "Trained on synthetic images",
        "Operating point",
        "Abstains from 0.2 to below 0.3",
        "Regions",
    ]
    assert parameters_of({}) == told[:1]
    assert parameters_of({"boxes": {"kind": "something new"}, "band": None}) == told[:1]
