import pytest

from core.ingest.file_names import parse_name, pathogen_of

CASES = [
    ("person12_bacteria_30.jpeg", "person-12", "person", "bacteria"),
    ("person12_virus_3.jpeg", "person-12", "person", "virus"),
    ("train/PNEUMONIA/person0012_bacteria_1.png", "person-12", "person", "bacteria"),
    ("IM-0115-0001.jpeg", "im-115", "IM", None),
    ("IM-0437-0001-0002.jpeg", "im-437", "IM", None),
    ("NORMAL2-IM-0437-0001.jpeg", "im-437", "NORMAL2-IM", None),
    ("NORMAL2-IM-0437-0001-0002.JPEG", "im-437", "NORMAL2-IM", None),
    ("synthetic-person12_virus_3.jpeg", "synthetic-person-12", "synthetic", "virus"),
    ("synthetic-IM-0007-0001.jpeg", "synthetic-im-7", "synthetic", None),
    ("synthetic-other.png", "synthetic-other", "synthetic", None),
    ("scan_bacterial.png", "scan_bacterial", "other", "bacteria"),
    ("a-viral-b.png", "a-viral-b", "other", "virus"),
    ("virus_bacteria.png", "virus_bacteria", "other", None),
    ("antivirus.png", "antivirus", "other", None),
    ("personX_bacteria_1.jpeg", "personX_bacteria_1", "other", "bacteria"),
    ("x.y.png", "x.y", "other", None),
    ("IM-0115.jpeg", "IM-0115", "other", None),
]


@pytest.mark.parametrize(("path", "patient", "source", "pathogen"), CASES)
def test_parse_name(path, patient, source, pathogen):
    facts = parse_name(path)
    assert (facts.patient, facts.source, facts.pathogen) == (patient, source, pathogen)


@pytest.mark.parametrize(
    ("folder", "name", "pathogen"),
    [
        ("unknown", "person1_virus_1.jpeg", "virus"),
        ("unknown", "person1_bacteria_1.jpeg", "bacteria"),
        ("unknown", "x.jpeg", "unknown"),
        ("normal", "person1_bacteria_1.jpeg", "normal"),
        ("bacteria", "person1_virus_1.jpeg", "bacteria"),
    ],
)
def test_pathogen_of_folder_and_name(folder, name, pathogen):
    assert pathogen_of(folder, name) == pathogen
