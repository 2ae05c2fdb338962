"""The content of a report, DICOM TID 1500, as a Comprehensive SR document.

Imaging Measurement Report
  language, observer (the software as a device), procedure reported
  Imaging Measurements
    Measurement Group (TID 1501): the finding in the image
      algorithm, source image, Probability, Presence of property
    Measurement Group (TID 1410), one for each box: the finding there
      algorithm, Image Region (closed polyline on the source image), Certainty of Finding
"""

import copy
import datetime
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from serving.dicom_out import finding as codes
from serving.dicom_out.algorithm import Algorithm, derived_uid
from serving.predict.prediction import Prediction

if TYPE_CHECKING:
    from highdicom.sr import ComprehensiveSR, MeasurementReport
    from pydicom import Dataset

VERSION: Final = "1"  # of the content: raised whenever the same answer is told in another way
MAKER: Final = "PneumoTFX"
SERIES_NUMBER: Final = 9001  # above those of acquisitions; a number is for display only
DESCRIPTION: Final = "Research software, not for diagnosis"

# What a report has to share with its image (types 1 and 2 of the modules Patient and General
# Study), and whether the patient is a phantom or nameless. No comments, no history, no address.
CARRIED: Final = (
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "QualityControlSubject",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
)
_OPTIONAL: Final = (
    *("IssuerOfPatientID", "QualityControlSubject"),
    *("PatientIdentityRemoved", "DeidentificationMethod"),
)
NEEDED: Final = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")


@dataclass(frozen=True)
class Region:
    """A box on the displayed image.

    Attributes:
      box: ymin, xmin, ymax, xmax in pixels of the displayed image, edges (0 is the outer edge of
        the first pixel).
      score: 0..1.
    """

    box: tuple[float, float, float, float]
    score: float


@dataclass(frozen=True)
class Result:
    """What a model says of one image.

    Attributes:
      decision: POSITIVE, NEGATIVE or REFER.
      score: calibrated probability of the finding.
      regions: boxes, best first; where the finding is absent there are none.
      shown: height and width of the image as it was shown to the model, pixels; what boxes are
        measured in. None where there are no boxes.
    """

    decision: str
    score: float
    regions: tuple[Region, ...] = ()
    shown: tuple[int, int] | None = None


def result_of(answer: Prediction) -> Result:
    """What a report says of an answer.

    Boxes are told where the finding is present or undetermined: a heat map has a warmest place in
    a healthy image too.
    """
    there = answer.decision != "NEGATIVE" and answer.height and answer.width
    pairs = zip(answer.boxes or [], answer.box_scores or [], strict=True) if there else ()
    regions = tuple(Region((b[0], b[1], b[2], b[3]), score) for b, score in pairs)
    shown = (answer.height, answer.width) if answer.height and answer.width else None
    return Result(answer.decision, answer.score or 0.0, regions, shown if regions else None)


def make_report(
    source: "Dataset",
    result: Result,
    algorithm: Algorithm,
    finding: codes.Concept,
    now: datetime.datetime,
) -> "ComprehensiveSR":
    """A structured report about one image; depends on its arguments only.

    Args:
      source: the image's attributes; pixels are not looked at. Has all of `NEEDED`.
      result: what is reported.
      algorithm: who says it.
      finding: what the score is the probability of.
      now: date and time of the content.
    """
    from highdicom.sr import ComprehensiveSR

    document = ComprehensiveSR(
        evidence=[_evidence(source)],
        content=_content(source, result, algorithm, finding)[0],
        series_instance_uid=derived_uid("series", str(source.StudyInstanceUID), algorithm.key),
        series_number=SERIES_NUMBER,
        sop_instance_uid=uid_of(source, result, algorithm, finding),
        instance_number=_instance_number(source),
        manufacturer=MAKER,
        manufacturer_model_name=algorithm.name[:64],
        software_versions=algorithm.version[:64],
        series_description=DESCRIPTION,
        content_date=now.date(),
        content_time=now.time(),
        series_date=now.date(),
        series_time=now.time(),
        is_complete=True,  # all that the algorithm says; but preliminary, and verified by nobody
    )
    document.InstanceCreationDate = document.ContentDate
    document.InstanceCreationTime = document.ContentTime
    for equipment in document.get("ContributingEquipmentSequence", ()):
        equipment.ContributionDateTime = now.strftime("%Y%m%d%H%M%S")
    _carry(source, document)
    return document


def uid_of(source: "Dataset", result: Result, algorithm: Algorithm, finding: codes.Concept) -> str:
    """UID of a report: of the image's UID, the algorithm and all that is said.

    So the same answer about the same image is the same document, and another is another.
    """
    boxes = [[round(edge, 3) for edge in box] for box in stored_boxes(source, result)]
    scores = [round(region.score, 6) for region in result.regions]
    said = [finding.value, result.decision, round(result.score, 6), boxes, scores]
    image = str(source.SOPInstanceUID)
    return derived_uid("document", VERSION, image, algorithm.key, json.dumps(said))


def stored_boxes(source: "Dataset", result: Result) -> list[tuple[float, float, float, float]]:
    """Boxes of the displayed image -> of the stored pixels, clipped; without area: all zeros.

    The two differ where pixels are not square: what is displayed was resampled.

    Returns:
      (ymin, xmin, ymax, xmax) in the coordinates of PS3.3 C.18.6.1.2: the outer corner of the
      first pixel is 0, 0.
    """
    if not result.regions:
        return []
    if result.shown is None or min(result.shown) < 1:
        raise ValueError("boxes of an image whose size is not told")
    rows, columns = int(source.Rows), int(source.Columns)
    down, across = rows / result.shown[0], columns / result.shown[1]
    found = []
    for region in result.regions:
        y0, x0, y1, x1 = region.box
        y0, y1 = (min(max(y * down, 0.0), rows) for y in (y0, y1))
        x0, x1 = (min(max(x * across, 0.0), columns) for x in (x0, x1))
        found.append((y0, x0, y1, x1) if y1 > y0 and x1 > x0 else (0.0, 0.0, 0.0, 0.0))
    return found


def _content(
    source: "Dataset",
    result: Result,
    algorithm: Algorithm,
    finding: codes.Concept,
) -> "MeasurementReport":
    from highdicom import sr

    def code(concept: codes.Concept) -> sr.CodedConcept:
        return sr.CodedConcept(concept.value, concept.scheme, concept.meaning)

    image = str(source.SOPInstanceUID)
    maker = sr.AlgorithmIdentification(
        name=algorithm.name,
        version=algorithm.told_version,
        parameters=algorithm.parameters,
        manufacturer=MAKER,
    )
    groups: list[Any] = [
        sr.MeasurementsAndQualitativeEvaluations(
            tracking_identifier=sr.TrackingIdentifier(
                derived_uid("image", image, algorithm.key), "Whole image"
            ),
            finding_type=code(finding),
            algorithm_id=maker,
            finding_sites=[sr.FindingSite(code(codes.LUNG))],
            measurements=[
                sr.Measurement(code(codes.PROBABILITY), round(result.score, 6), code(codes.ONE))
            ],
            qualitative_evaluations=[
                sr.QualitativeEvaluation(
                    code(codes.PRESENCE), code(codes.DECISIONS[result.decision])
                )
            ],
            source_images=[sr.SourceImageForMeasurementGroup(str(source.SOPClassUID), image)],
        )
    ]
    boxes = stored_boxes(source, result)
    for number, (region, box) in enumerate(zip(result.regions, boxes, strict=True), 1):
        if not any(box):
            continue
        uid = derived_uid("region", image, algorithm.key, str(number))
        groups.append(
            sr.PlanarROIMeasurementsAndQualitativeEvaluations(
                tracking_identifier=sr.TrackingIdentifier(uid, f"Region {number}"),
                referenced_region=_rectangle(source, box),
                finding_type=code(finding),
                algorithm_id=maker,
                finding_sites=[sr.FindingSite(code(codes.LUNG))],
                geometric_purpose=code(codes.BOUNDED_BY),
                measurements=[
                    sr.Measurement(
                        code(codes.CERTAINTY), round(100 * region.score, 4), code(codes.PERCENT)
                    )
                ],
            )
        )
    device = sr.DeviceObserverIdentifyingAttributes(
        uid=derived_uid("device", algorithm.key),
        name=MAKER,
        manufacturer_name=MAKER,
        model_name=algorithm.name,
        serial_number=algorithm.told_version,
    )
    observer = sr.ObserverContext(
        observer_type=sr.CodedConcept("121007", "DCM", "Device"),
        observer_identifying_attributes=device,
    )
    return sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_device_context=observer),
        procedure_reported=code(codes.CHEST_RADIOGRAPH),
        imaging_measurements=groups,
    )


def _rectangle(source: "Dataset", box: tuple[float, float, float, float]) -> Any:
    """A closed polyline of five points (column, row) on the source image."""
    import numpy as np
    from highdicom import sr

    y0, x0, y1, x1 = box
    points = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]])
    return sr.ImageRegion(
        graphic_type=sr.GraphicTypeValues.POLYLINE,
        graphic_data=points,
        source_image=sr.SourceImageForRegion(str(source.SOPClassUID), str(source.SOPInstanceUID)),
    )


def _evidence(source: "Dataset") -> "Dataset":
    """The image without its patient: the constructor logs and refuses what it finds odd."""
    from pydicom import Dataset

    bare = Dataset()
    for keyword in NEEDED:
        setattr(bare, keyword, str(source[keyword].value))
    for keyword in CARRIED:
        if keyword not in _OPTIONAL:
            setattr(bare, keyword, None)
    return bare


def _carry(source: "Dataset", document: "Dataset") -> None:
    """Patient and study as the image has them, letter by letter."""
    if "SpecificCharacterSet" in source:
        document["SpecificCharacterSet"] = copy.deepcopy(source["SpecificCharacterSet"])
    for keyword in CARRIED:
        if keyword in source:
            document[keyword] = copy.deepcopy(source[keyword])


def _instance_number(source: "Dataset") -> int:
    try:
        return max(1, int(source.get("InstanceNumber") or 1))
    except (TypeError, ValueError):
        return 1
