"""Content of a report: DICOM TID 1500 in a Comprehensive SR document.

Imaging Measurement Report
  language, observer (the software as a device), procedure reported
  Imaging Measurements
    Measurement Group (TID 1501): the finding in the image
      algorithm, source image, Probability, Presence of property; instead of a probability, Image
      Quality and Comment if the image is no radiograph
    Measurement Group (TID 1410), one for each box: the finding in the region
      algorithm, Image Region (closed polyline on the source image), Certainty of Finding
"""

import copy
import datetime
import json
from typing import TYPE_CHECKING, Any, Final

from serving.dicom_out import finding as codes
from serving.dicom_out.algorithm import Algorithm, derived_uid
from serving.dicom_out.content import ReportContent, stored_boxes

if TYPE_CHECKING:
    from highdicom.sr import ComprehensiveSR, MeasurementReport
    from pydicom import Dataset

VERSION: Final = "2"  # of the content; increased when the same prediction gives another report
MAKER: Final = "PneumoTFX"
SERIES_NUMBER: Final = 9001  # above those of acquisitions; for display only
DESCRIPTION: Final = "Research software, not for diagnosis"

# Attributes copied from the image: types 1 and 2 of the modules Patient and General Study, and
# those of phantoms and deidentified patients. No comments, history or address.
COPIED: Final = (
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
REQUIRED: Final = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")


def make_report(
    source: "Dataset",
    content: ReportContent,
    algorithm: Algorithm,
    finding: codes.Concept,
    now: datetime.datetime,
) -> "ComprehensiveSR":
    """Returns a structured report on one image; equal arguments give equal reports.

    Args:
      source: attributes of the image, at least `REQUIRED`; pixels are not read.
      content: the prediction.
      algorithm: identification of the model.
      finding: the finding whose probability is the score.
      now: date and time of the content.
    """
    from highdicom.sr import ComprehensiveSR

    document = ComprehensiveSR(
        evidence=[_evidence(source)],
        content=_content(source, content, algorithm, finding)[0],
        series_instance_uid=derived_uid("series", str(source.StudyInstanceUID), algorithm.key),
        series_number=SERIES_NUMBER,
        sop_instance_uid=report_uid(source, content, algorithm, finding),
        instance_number=_instance_number(source),
        manufacturer=MAKER,
        manufacturer_model_name=algorithm.name[:64],
        software_versions=algorithm.version[:64],
        series_description=DESCRIPTION,
        content_date=now.date(),
        content_time=now.time(),
        series_date=now.date(),
        series_time=now.time(),
        is_complete=True,  # of the algorithm; preliminary and unverified
    )
    document.InstanceCreationDate = document.ContentDate
    document.InstanceCreationTime = document.ContentTime
    for equipment in document.get("ContributingEquipmentSequence", ()):
        equipment.ContributionDateTime = now.strftime("%Y%m%d%H%M%S")
    _copy_attributes(source, document)
    return document


def report_uid(
    source: "Dataset", content: ReportContent, algorithm: Algorithm, finding: codes.Concept
) -> str:
    """Derives the UID of a report from the UID of the image, the algorithm and the content.

    Equal predictions for an image therefore give the same document, others a new one.
    """
    boxes = [[round(edge, 3) for edge in box] for box in stored_boxes(source, content)]
    scores = [round(region.score, 6) for region in content.regions]
    score = content.problem if content.score is None else round(content.score, 6)
    values = [finding.value, content.decision, score, boxes, scores]
    image = str(source.SOPInstanceUID)
    return derived_uid("document", VERSION, image, algorithm.key, json.dumps(values))


def _content(
    source: "Dataset",
    content: ReportContent,
    algorithm: Algorithm,
    finding: codes.Concept,
) -> "MeasurementReport":
    from highdicom import sr

    def code(concept: codes.Concept) -> sr.CodedConcept:
        return sr.CodedConcept(concept.value, concept.scheme, concept.meaning)

    image = str(source.SOPInstanceUID)
    identification = sr.AlgorithmIdentification(
        name=algorithm.name,
        version=algorithm.version_and_digest,
        parameters=algorithm.parameters,
        manufacturer=MAKER,
    )
    evaluations = [(codes.PRESENCE, codes.DECISIONS[content.decision])]
    measurements = []
    if content.score is None:
        evaluations.append((codes.IMAGE_QUALITY, codes.UNUSABLE))
    else:
        score = round(content.score, 6)
        measurements.append(sr.Measurement(code(codes.PROBABILITY), score, code(codes.ONE)))
    whole = sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(
            derived_uid("image", image, algorithm.key), "Whole image"
        ),
        finding_type=code(finding),
        algorithm_id=identification,
        finding_sites=[sr.FindingSite(code(codes.LUNG))],
        measurements=measurements,
        qualitative_evaluations=[
            sr.QualitativeEvaluation(code(name), code(value)) for name, value in evaluations
        ],
        source_images=[sr.SourceImageForMeasurementGroup(str(source.SOPClassUID), image)],
    )
    if content.problem:
        contains = sr.RelationshipTypeValues.CONTAINS
        whole[0].ContentSequence.append(
            sr.TextContentItem(code(codes.COMMENT), content.problem, contains)
        )
    groups: list[Any] = [whole]
    boxes = stored_boxes(source, content)
    for number, (region, box) in enumerate(zip(content.regions, boxes, strict=True), 1):
        if not any(box):
            continue
        uid = derived_uid("region", image, algorithm.key, str(number))
        groups.append(
            sr.PlanarROIMeasurementsAndQualitativeEvaluations(
                tracking_identifier=sr.TrackingIdentifier(uid, f"Region {number}"),
                referenced_region=_rectangle(source, box),
                finding_type=code(finding),
                algorithm_id=identification,
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
        serial_number=algorithm.version_and_digest,
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
    """Returns the image without its patient: highdicom logs and rejects unusual values."""
    from pydicom import Dataset

    bare = Dataset()
    for keyword in REQUIRED:
        setattr(bare, keyword, str(source[keyword].value))
    for keyword in COPIED:
        if keyword not in _OPTIONAL:
            setattr(bare, keyword, None)
    return bare


def _copy_attributes(source: "Dataset", document: "Dataset") -> None:
    """Copies patient and study without decoding them."""
    if "SpecificCharacterSet" in source:
        document["SpecificCharacterSet"] = copy.deepcopy(source["SpecificCharacterSet"])
    for keyword in COPIED:
        if keyword in source:
            document[keyword] = copy.deepcopy(source[keyword])


def _instance_number(source: "Dataset") -> int:
    try:
        return max(1, int(source.get("InstanceNumber") or 1))
    except (TypeError, ValueError):
        return 1
