"""Codes of findings, decisions and measurements in reports."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from schema.errors import PneumoError
from schema.labels import BACTERIA_VIRUS, BINARY, LOCATE, THREE_CLASS


class Concept(NamedTuple):
    """A coded concept: value, coding scheme, meaning."""

    value: str
    scheme: str
    meaning: str


PNEUMONIA: Final = Concept("233604007", "SCT", "Pneumonia")
BACTERIAL: Final = Concept("53084003", "SCT", "Bacterial pneumonia")
OPACITY: Final = Concept("112033", "DCM", "Abnormal opacity")  # CID 6101

PROBABILITY: Final = Concept("122157", "DCM", "Probability")
CERTAINTY: Final = Concept("111012", "DCM", "Certainty of Finding")
PRESENCE: Final = Concept("121052", "DCM", "Presence of property")
DECISIONS: Final = {
    "POSITIVE": Concept("121053", "DCM", "Present"),
    "NEGATIVE": Concept("121054", "DCM", "Absent"),
    "REFER": Concept("121059", "DCM", "Presence Undetermined"),
}
IMAGE_QUALITY: Final = Concept("111101", "DCM", "Image Quality")
UNUSABLE: Final = Concept("111235", "DCM", "Unusable - Quality renders image unusable")
COMMENT: Final = Concept("121106", "DCM", "Comment")
LUNG: Final = Concept("39607008", "SCT", "Lung")
BOUNDED_BY: Final = Concept("75958009", "SCT", "Bounded by")
CHEST_RADIOGRAPH: Final = Concept("399208008", "SCT", "Plain X-ray of chest")
ONE: Final = Concept("1", "UCUM", "no units")
PERCENT: Final = Concept("%", "UCUM", "percent")

_FINDINGS: Final = {
    BINARY.classes: PNEUMONIA,
    THREE_CLASS.classes: PNEUMONIA,
    BACTERIA_VIRUS.classes: BACTERIAL,
    LOCATE.classes: OPACITY,
}


def finding_code(classes: Sequence[str]) -> Concept:
    """Returns the code of the finding whose probability is the score.

    Raises:
      PneumoError: classes of a custom task, for which there is no code.
    """
    try:
        return _FINDINGS[tuple(classes)]
    except KeyError:
        known = "; ".join(", ".join(names) for names in _FINDINGS)
        raise PneumoError(
            f"--dicom-out has no code for a finding of the classes {', '.join(classes)}; "
            f"supported are the classes of the built-in tasks: {known}"
        ) from None
