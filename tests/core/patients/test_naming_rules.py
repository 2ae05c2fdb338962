"""Names of public data sets: 100 generated names of each, and every example of the table."""

import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.ingest.file_names import parse_name
from core.patients.naming_rules import RULES, patient_of_path

EXAMPLES = [(rule, path) for rule in RULES for path in rule.examples]


@dataclass(frozen=True)
class Form:
    """Names of one data set.

    Attributes:
      name: (number of a patient, number of an image) -> path; other numbers give other paths.
      known: whether the names contain the patient.
      folders: whether the patient is in the folders, so that other folders in between matter.
    """

    name: Callable[[int, int], str]
    known: bool = True
    folders: bool = False


def _hex(number: int, digits: int) -> str:
    """Returns hex digits that look random."""
    return f"{(number + 1) * 0x9E3779B97F4A7C15F39CC0605CEDC834 % 16**digits:0{digits}x}"


def _dicom_id(number: int) -> str:
    return "-".join(re.findall(".{8}", _hex(number, 40)))


def _uuid(number: int) -> str:
    return re.sub(r"(.{8})(.{4})(.{4})(.{4})(.{12})", r"\1-\2-\3-\4-\5", _hex(number, 32))


FORMS = {
    "person": Form(
        lambda p, i: f"person{p}_{'bacteria' if i % 2 else 'virus'}_{i}.jpeg",
    ),
    "IM": Form(lambda p, i: f"{'NORMAL2-' if i % 2 else ''}IM-{p:04d}-{i:04d}.jpeg"),
    "kermany v3": Form(lambda p, i: f"{('BACTERIA', 'VIRUS', 'NORMAL')[i % 3]}-{p}-{i:04d}.jpeg"),
    "nih": Form(lambda p, i: f"{p:08d}_{i % 1000:03d}.png"),
    "chexpert": Form(lambda p, i: f"patient{p:05d}/study{i}/view1_frontal.jpg", folders=True),
    "chexpert flat": Form(lambda p, i: f"patient{p:05d}_study{i}_view{i}_lateral.jpg"),
    "mimic": Form(lambda p, i: f"p{10000000 + p}/s{50000000 + i}/{_dicom_id(i)}.jpg", folders=True),
    "mimic flat": Form(lambda p, i: f"p{10000000 + p}_s{50000000 + i}_{_dicom_id(i)}.jpg"),
    "bimcv": Form(
        lambda p, i: f"sub-S{p:05d}/ses-E{i:05d}/mod-rx/sub-S{p:05d}_ses-E{i:05d}_vp-ap_cr.png",
        folders=True,
    ),
    "bimcv flat": Form(lambda p, i: f"sub-S{p:05d}_ses-E{i:05d}_run-1_bp-chest_vp-pa_dx.png"),
    # Without the patient: studies and images are kept together.
    "padchest": Form(lambda p, i: f"2168401113669640{p:029d}_{i:02d}-{i:03d}-084.png", known=False),
    "padchest 2": Form(lambda p, i: f"9{p:037d}_k{i}a29.png", known=False),
    "vindr": Form(lambda p, i: f"{_hex(p, 32)}.{('dicom', 'png', 'jpg')[i % 3]}", known=False),
    "rsna": Form(lambda p, i: f"{_uuid(p)}.{('dcm', 'png', 'jpg')[i % 3]}", known=False),
    "mimic image": Form(lambda p, i: f"{_dicom_id(p)}.{('dcm', 'jpg')[i % 2]}", known=False),
}
NUMBERS = st.integers(1, 99_999)
FOLDERS = st.lists(
    st.sampled_from(["train", "test", "NORMAL", "images_004", "a b", "x"]), max_size=3
)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_images_of_one_patient_share_a_key(form: Form) -> None:
    @settings(max_examples=100, deadline=None)
    @given(NUMBERS, NUMBERS, NUMBERS, NUMBERS, FOLDERS, FOLDERS)
    def check(p: int, q: int, i: int, j: int, here: list[str], there: list[str]) -> None:
        one = parse_name("/".join([*here, form.name(p, i)]))
        same = parse_name("/".join([*there, form.name(p, j)]))
        other = parse_name("/".join([*there, form.name(q, i)]))
        assert one.patient == same.patient
        assert (one.patient == other.patient) == (p == q)
        assert one.known == same.known == other.known == form.known

    check()


@settings(max_examples=100)
@given(NUMBERS, FOLDERS, FOLDERS, st.sampled_from(["COVID-{}.png", "Normal-{}.png", "img{}.jpeg"]))
def test_numbered_images_of_two_folders_are_two_patients(
    n: int, here: list[str], there: list[str], name: str
) -> None:
    paths = ["/".join([*folder, name.format(n)]) for folder in (here, there)]
    one, other = map(parse_name, paths)
    assert not one.known
    assert (one.patient == other.patient) == (here == there)


NAME = st.text(st.characters(exclude_characters="/", exclude_categories=["Cs"]), min_size=1)


@settings(max_examples=100)
@given(NAME, NAME, NAME)
def test_any_equal_names_of_two_folders_are_two_patients(a: str, b: str, name: str) -> None:
    one, other = parse_name(f"{a}/{name}"), parse_name(f"{b}/{name}")
    assert (one.patient == other.patient) == (a == b) or (one.known and other.known)


@pytest.mark.parametrize(("rule", "path"), EXAMPLES, ids=[path for _, path in EXAMPLES])
def test_examples_match_their_rule(rule: object, path: str) -> None:
    named = patient_of_path(path)
    if named is None:
        assert not rule.key  # type: ignore[attr-defined]
    else:
        assert named.rule is rule


@pytest.mark.parametrize(
    "path",
    [
        *("x.png", "image.png", "1.jpeg", "20200131_001.png", "12345.png", "view1_frontal.jpg"),
        *("person.jpeg", "personX_bacteria_1.jpeg", "IM-0115.jpeg", "p10000032.jpg", "subject.png"),
        *("sub-.png", "submarine/1.png", "patients/study1/view1_frontal.jpg"),
        *("person0_bacteria_1.jpeg", "00000000_001.png", "sub-unknown/ses-1/x.png"),
        *("patient00000/study1/view1_frontal.jpg", "sub-nan_ses-1_dx.png", "p00000000/s50000000/x"),
        *("nan.png", "unknown/1.png", "anonymous/anonymous.png"),
    ],
)
def test_no_rule(path: str) -> None:
    assert patient_of_path(path) is None
    parsed = parse_name(path)
    assert (parsed.patient, parsed.known) == (f"image:{path}", False)


def test_the_folder_of_a_patient_precedes_the_file_name() -> None:
    assert parse_name("sub-S1/ses-2/IM-0001-0001.png").patient == "sub-s1"
    assert parse_name("patient00007/study1/00000001_000.png").patient == "chexpert-7"


def test_sources_are_addresses() -> None:
    assert all(rule.source.startswith("https://") for rule in RULES)
    assert len({rule.dataset for rule in RULES}) == len(RULES)
