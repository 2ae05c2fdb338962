"""Structured reports, read back by the libraries."""

import datetime
import io
import warnings
from typing import Any

import pytest

from core.images.rules import STATUS_MESSAGES
from serving.dicom_out.algorithm import Algorithm
from serving.dicom_out.content import ReportContent, report_content
from serving.dicom_out.finding import (
    COMMENT,
    DECISIONS,
    IMAGE_QUALITY,
    PNEUMONIA,
    PRESENCE,
    PROBABILITY,
    UNUSABLE,
)
from serving.dicom_out.report import COPIED
from serving.predict.prediction import Prediction
from tests.serving.dicom_out.reports import (
    NOW,
    REGIONS,
    coded,
    parse_content,
    pydicom,
    write_report,
)
from tests.support.images import identities


def test_mandatory_attributes_exist() -> None:
    """Of every mandatory module: type 1 attributes have a value, type 2 attributes exist."""
    from highdicom._standard_utils import get_iod_module_map, get_module_attribute_map

    report = write_report()
    checked = 0
    for module in get_iod_module_map()["comprehensive-sr"]:
        # The map lists the attributes of all content items together.
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


def test_the_report_is_preliminary_and_unverified() -> None:
    report = write_report()
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


def test_the_finding_of_the_image() -> None:
    (group,) = parse_content(write_report()).get_image_measurement_groups()
    assert group.finding_type == coded(PNEUMONIA)
    (probability,) = group.get_measurements(name=coded(PROBABILITY))
    assert probability.value == 0.8125
    (presence,) = group.get_qualitative_evaluations(name=coded(PRESENCE))
    assert presence.value == coded(DECISIONS["POSITIVE"])
    (image,) = group.source_images
    assert image.referenced_sop_instance_uid == identities.IDENTITIES["SOPInstanceUID"]
    assert image.referenced_sop_class_uid == pydicom.uid.ComputedRadiographyImageStorage


@pytest.mark.parametrize(
    ("decision", "meaning"),
    [("POSITIVE", "Present"), ("NEGATIVE", "Absent"), ("REFER", "Presence Undetermined")],
)
def test_decisions(decision: str, meaning: str) -> None:
    (group,) = parse_content(
        write_report(ReportContent(decision, 0.5))
    ).get_image_measurement_groups()
    (presence,) = group.get_qualitative_evaluations(name=coded(PRESENCE))
    assert presence.value.meaning == meaning


def test_an_image_that_is_no_radiograph_has_no_probability() -> None:
    prediction = Prediction("a.dcm", decision="REFER", abstained=True, status="LOW_CONTRAST")
    report = write_report(report_content(prediction))
    (group,) = parse_content(report).get_image_measurement_groups()
    assert not group.get_measurements()
    (presence,) = group.get_qualitative_evaluations(name=coded(PRESENCE))
    assert presence.value.meaning == "Presence Undetermined"
    (quality,) = group.get_qualitative_evaluations(name=coded(IMAGE_QUALITY))
    assert quality.value == coded(UNUSABLE)
    assert texts(report, COMMENT.value) == [STATUS_MESSAGES["LOW_CONTRAST"]]


def texts(item: Any, value: str) -> list[str]:
    """Returns the texts of a concept below an item."""
    values = []
    for child in item.get("ContentSequence", ()):
        name = child.get("ConceptNameCodeSequence")
        if name and name[0].CodeValue == value and "TextValue" in child:
            # str: pydicom splits a text at backslashes
            values.append(str(child.TextValue))
        values += texts(child, value)
    return values


def test_each_group_identifies_the_algorithm() -> None:
    report = write_report()
    assert set(texts(report, "111001")) == {"pneumo"}
    assert set(texts(report, "111003")) == {f"1700000000 sha256:{'ab' * 32}"}
    assert set(texts(report, "111002")) == {"Research software", "Operating point"}
    assert len(texts(report, "111001")) == 3  # groups
    assert (report.Manufacturer, report.ManufacturerModelName) == ("PneumoTFX", "pneumo")
    assert report.SoftwareVersions == "1700000000"


def test_evidence_references_the_image() -> None:
    (study,) = write_report().CurrentRequestedProcedureEvidenceSequence
    assert study.StudyInstanceUID == identities.IDENTITIES["StudyInstanceUID"]
    (series,) = study.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == identities.IDENTITIES["SeriesInstanceUID"]
    (image,) = series.ReferencedSOPSequence
    assert image.ReferencedSOPInstanceUID == identities.IDENTITIES["SOPInstanceUID"]


def test_only_the_required_identities_are_copied() -> None:
    report = write_report()
    for keyword in ("StudyInstanceUID", *COPIED):
        if keyword in identities.IDENTITIES:
            assert str(report[keyword].value) == identities.IDENTITIES[keyword], keyword
    assert report.SeriesInstanceUID != identities.IDENTITIES["SeriesInstanceUID"]
    out = io.BytesIO()
    report.save_as(out)
    needed = (*COPIED, "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    allowed = {
        word
        for key in needed
        if key in identities.IDENTITIES
        for word in [identities.IDENTITIES[key], *identities.IDENTITIES[key].split("^")]
    }
    assert set(identities.leaks(out.getvalue())) <= allowed


def test_quality_control_and_deidentification_are_copied() -> None:
    assert write_report(QualityControlSubject="YES").QualityControlSubject == "YES"
    assert "QualityControlSubject" not in write_report()
    nameless = write_report(PatientIdentityRemoved="YES", DeidentificationMethod="by hand")
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
    report = write_report(SpecificCharacterSet=charset, PatientName=name)
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
def test_invalid_attributes_are_copied_unchanged(attributes: dict[str, Any]) -> None:
    with pydicom.config.disable_value_validation(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        report = write_report(**attributes)
        for keyword, value in attributes.items():
            if keyword in COPIED:
                assert str(report[keyword].value) == (value or "")
    assert report.InstanceNumber >= 1


@pytest.mark.parametrize(
    "other",
    [
        {"content": ReportContent("POSITIVE", 0.8126, REGIONS, (60, 80))},
        {"content": ReportContent("REFER", 0.8125, REGIONS, (60, 80))},
        {"content": ReportContent("POSITIVE", 0.8125, REGIONS[:1], (60, 80))},
        {"algorithm": Algorithm("pneumo", "1700000001", "ab" * 32)},
        {"algorithm": Algorithm("pneumo", "1700000000", "cd" * 32)},
        {"SOPInstanceUID": "1.2.3.4.5"},
    ],
)
def test_another_prediction_is_another_document(other: dict[str, Any]) -> None:
    first, later = write_report(), write_report(now=NOW + datetime.timedelta(days=1))
    assert first == write_report()
    assert later.SOPInstanceUID == first.SOPInstanceUID != write_report(**other).SOPInstanceUID
    assert later.ContentDate != first.ContentDate


def test_reports_of_a_study_by_one_algorithm_are_one_series() -> None:
    one, two = write_report(), write_report(SOPInstanceUID="1.2.3.4.5", InstanceNumber=2)
    assert one.SeriesInstanceUID == two.SeriesInstanceUID
    assert (one.InstanceNumber, two.InstanceNumber) == (1, 2)
    assert write_report(StudyInstanceUID="1.2.3").SeriesInstanceUID != one.SeriesInstanceUID


def test_uids_are_valid_and_do_not_contain_the_image_uid() -> None:
    report = write_report()
    assert pydicom.uid.UID(report.SOPInstanceUID).is_valid
    assert identities.IDENTITIES["SOPInstanceUID"] not in report.SOPInstanceUID
