import pytest

from schema.errors import PneumoError
from schema.labels import BACTERIA_VIRUS, TASKS
from serving.dicom_out.finding import (
    BACTERIAL,
    CERTAINTY,
    COMMENT,
    DECISIONS,
    IMAGE_QUALITY,
    OPACITY,
    PNEUMONIA,
    PRESENCE,
    PROBABILITY,
    UNUSABLE,
    finding_code,
)

pytest.importorskip("pydicom", reason="needs the extra `dicom`")


def test_built_in_tasks_have_a_finding_and_others_do_not() -> None:
    assert {name: finding_code(task.classes) for name, task in TASKS.items()} == {
        "binary": PNEUMONIA,
        "three_class": PNEUMONIA,
        "two_stage": PNEUMONIA,
        "bacteria_virus": BACTERIAL,
        "locate": OPACITY,
    }
    assert BACTERIA_VIRUS.classes[BACTERIA_VIRUS.positive[0]] == "BACTERIA"
    with pytest.raises(PneumoError, match=r"^[^\n]*no code .* of the classes CAT, DOG[^\n]*$"):
        finding_code(["CAT", "DOG"])


def test_codes_equal_those_of_pydicom() -> None:
    """DICOM codes only: pydicom has few of SNOMED CT."""
    from pydicom.sr.codedict import codes

    for concept, expected in (
        (PROBABILITY, codes.DCM.Probability),
        (CERTAINTY, codes.DCM.CertaintyOfFinding),
        (PRESENCE, codes.DCM.PresenceOfProperty),
        (DECISIONS["POSITIVE"], codes.DCM.Present),
        (DECISIONS["NEGATIVE"], codes.DCM.Absent),
        (DECISIONS["REFER"], codes.DCM.PresenceUndetermined),
        (OPACITY, codes.DCM.AbnormalOpacity),
        (IMAGE_QUALITY, codes.DCM.ImageQuality),
        (UNUSABLE, codes.DCM.UnusableQualityRendersImageUnusable),
        (COMMENT, codes.DCM.Comment),
    ):
        assert (concept.value, concept.scheme) == (expected.value, expected.scheme_designator)
        assert concept.meaning.lower() == expected.meaning.lower()
