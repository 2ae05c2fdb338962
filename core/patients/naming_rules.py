"""How file and folder names of public data sets encode the patient: one table.

Each rule is documented by its source; `docs/reference/patients.md` shows the table. Rules of
folders come first: a folder of a patient is more specific than a file name.

If two names may belong to one patient, they share a key: a key that is too coarse cannot put a
patient into two splits. A name that no rule knows has no patient; so has an id that is a
placeholder (`person0`, `sub-unknown`).
"""

import re
from dataclasses import dataclass
from typing import Final, Literal

from core.patients.placeholders import is_placeholder

Identity = Literal["patient", "study", "image"]


@dataclass(frozen=True)
class NamingRule:
    """One form of names of a public data set.

    Attributes:
      dataset: its name.
      pattern: found in the path, "/" between the parts, in any case; the group `id` is the id.
      key: prefix of the key; "" if the id is not unique beyond its folder: then there is no key.
      identity: what the id identifies. Images of a study or with an image id are kept together, but
        their patient is unknown.
      examples: paths.
      meaning: how the patient is taken, for the documentation.
      source: address of the description of the data set.
      viewer: programs that export images use the same names (`IM-0001-0001`), so equal names of
        different images end the rule; see SplitTable.separate_equal_names.
    """

    dataset: str
    pattern: re.Pattern[str]
    key: str
    identity: Identity
    examples: tuple[str, ...]
    meaning: str
    source: str
    viewer: bool = False


def _name(pattern: str) -> re.Pattern[str]:
    """Compiles a pattern of file names: it must match from their beginning."""
    return re.compile(rf"(?:^|/){pattern}[^/]*$", re.IGNORECASE)


def _folder(pattern: str) -> re.Pattern[str]:
    """Compiles a pattern of folders, whose parts a copy in one folder joins with _ or -."""
    return re.compile(rf"(?:^|[/_-]){pattern}", re.IGNORECASE)


_UUID: Final = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_KERMANY: Final = "https://data.mendeley.com/datasets/rscbjbr9sj/3"

RULES: Final = (
    NamingRule(
        "CheXpert",
        _folder(r"patient(?P<id>\d+)[/_-](?:study\d+(?!\d)|view\d+_)"),
        "chexpert-",
        "patient",
        (
            "CheXpert-v1.0-small/train/patient00001/study1/view1_frontal.jpg",
            "patient64541_study1_view1_frontal.jpg",
        ),
        "number of the folder `patientN`",
        "https://stanfordmlgroup.github.io/competitions/chexpert/",
    ),
    NamingRule(
        "MIMIC-CXR",
        _folder(r"p(?P<id>\d{8})[/_-]s\d{8}(?!\d)"),
        "mimic-",
        "patient",
        (
            "files/p10/p10000032/s50414267/02aa804e-bde0afdd-112c0b34-7bc16630-4e384014.jpg",
            "p10000032_s50414267_02aa804e-bde0afdd-112c0b34-7bc16630-4e384014.jpg",
        ),
        "`subject_id`, the 8 digits of the folder `pN` above `sN`",
        "https://mimic.mit.edu/docs/iv/modules/cxr/",
    ),
    NamingRule(
        "BIMCV-COVID19 and other BIDS data sets",
        re.compile(r"(?:^|/)sub-(?P<id>[^\W_]+)(?=[/_])", re.IGNORECASE),
        "sub-",
        "patient",
        (
            "sub-S03044/ses-E07258/mod-rx/sub-S03044_ses-E07258_run-1_bp-chest_vp-ap_dx.png",
            "sub-S03044_ses-E07258_run-1_bp-chest_vp-ap_dx.png",
        ),
        "label of the entity `sub-`",
        "https://bids-specification.readthedocs.io/en/stable/common-principles.html",
    ),
    NamingRule(
        "Kermany, Kaggle copy",
        _name(r"(?:[^/]*[_-])?person(?P<id>\d+)_(?:bacteria|virus)_\d+"),
        "person-",
        "patient",
        ("person1_bacteria_2.jpeg", "person12_virus_3.jpeg"),
        "number after `person`, whichever pathogen: it is not documented whether the two series "
        "number the same children",
        _KERMANY,
    ),
    NamingRule(
        "Kermany, normal images of the Kaggle copy",
        _name(r"(?:NORMAL2-)?IM-(?P<id>\d+)-\d+"),
        "im-",
        "patient",
        ("IM-0115-0001.jpeg", "NORMAL2-IM-0437-0001-0002.jpeg"),
        "first number, in both series: it is not documented whether the second continues the "
        "first. If equal names in several folders are different images, the names are those of a "
        "viewer, and the rule does not hold",
        _KERMANY,
        viewer=True,
    ),
    NamingRule(
        "Kermany, version 3",
        _name(r"(?:BACTERIA|VIRUS|NORMAL)-(?P<id>\d+)-\d{4,}"),
        "kermany-",
        "patient",
        ("BACTERIA-7422-0001.jpeg", "NORMAL-28501-0001.jpeg"),
        "(disease)-(randomized patient ID)-(image number by this patient)",
        _KERMANY,
    ),
    NamingRule(
        "NIH ChestX-ray14",
        _name(r"(?P<id>00\d{6})_\d{3}(?!\d)"),  # other 8 digits may be a date
        "nih-",
        "patient",
        ("00000001_000.png", "images_002/images/00001336_000.png"),
        "first 8 digits: the name is (patient ID)_(follow-up number)",
        "https://nihcc.app.box.com/v/ChestXray-NIHCC",
    ),
    NamingRule(
        "PadChest",
        _name(r"(?P<id>\d{30,})_[0-9a-z-]+"),
        "padchest-study-",
        "study",
        (
            "20536686640136348236148679891455886468_k6ga29.png",
            "216840111366964012819207061112010307142602253_04-014-084.png",
        ),
        "the name begins with the `StudyID`; `PatientID` is in the table only",
        "https://arxiv.org/abs/1901.07441",
    ),
    NamingRule(
        "MIMIC-CXR, without its folders",
        _name(r"(?P<id>[0-9a-f]{8}(?:-[0-9a-f]{8}){4})(?![0-9a-f-])"),
        "mimic-image-",
        "image",
        ("02aa804e-bde0afdd-112c0b34-7bc16630-4e384014.jpg",),
        "the name is the `dicom_id`; `subject_id` is in the table only",
        "https://mimic.mit.edu/docs/iv/modules/cxr/",
    ),
    NamingRule(
        "VinDr-CXR",
        _name(r"(?P<id>[0-9a-f]{32})(?![0-9a-z])"),
        "vindr-image-",
        "image",
        ("000434271f63a053c4128a0ba6352c7f.dicom", "50a418190bc3fb1ef1633bf9678929b3.png"),
        "the name is the `image_id`; the data set has no patients",
        "https://physionet.org/content/vindr-cxr/1.0.0/",
    ),
    NamingRule(
        "RSNA Pneumonia Detection Challenge",
        _name(rf"(?P<id>{_UUID})(?![0-9a-z])"),
        "rsna-image-",
        "image",
        ("stage_2_train_images/0004cfab-14fd-4e49-80ba-63a80b6bddd6.dcm",),
        'the name is the `patientId`, which "corresponds to a unique image" of the NIH data set',
        "https://www.kaggle.com/c/rsna-pneumonia-detection-challenge/data",
    ),
    NamingRule(
        "COVID-19 Radiography Database",
        _name(
            r"(?:COVID(?:-19)?|Normal|Lung[_ ]Opacity|Viral[_ ]Pneumonia)(?:-| ?\()"
            r"(?P<id>\d+)\)?(?=\.|$)"
        ),
        "",
        "image",
        ("COVID/images/COVID-1.png", "Viral Pneumonia/images/Viral Pneumonia-12.png"),
        "images are numbered within their class; the data set has no patients",
        "https://www.kaggle.com/datasets/tawsifurrahman/covid19-radiography-database",
    ),
)


@dataclass(frozen=True)
class NamedPatient:
    """Patient, study or image that a path names.

    Attributes:
      key: images with one key are kept together.
      known: whether the key is that of a patient, not of a study or of an image.
      rule: the rule that matches.
    """

    key: str
    known: bool
    rule: NamingRule


def patient_of_path(path: str) -> NamedPatient | None:
    """Returns the patient, study or image that a path names; None if no rule matches.

    Args:
      path: "/" between the parts. Zeros before a number do not count, nor does the case.
    """
    for rule in RULES:
        if match := rule.pattern.search(path):
            value = match["id"].casefold()
            if not rule.key or is_placeholder(value):
                return None
            if value.isdecimal() and value.isascii():
                value = value.lstrip("0")
            return NamedPatient(f"{rule.key}{value}", rule.identity == "patient", rule)
    return None
