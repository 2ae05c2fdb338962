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
    ("synthetic-other.png", "image:synthetic-other.png", "synthetic", None),
    ("scan_bacterial.png", "image:scan_bacterial.png", "other", "bacteria"),
    ("a-viral-b.png", "image:a-viral-b.png", "other", "virus"),
    ("virus_bacteria.png", "image:virus_bacteria.png", "other", None),
    ("antivirus.png", "image:antivirus.png", "other", None),
    ("personX_bacteria_1.jpeg", "image:personX_bacteria_1.jpeg", "other", "bacteria"),
    ("x.y.png", "image:x.y.png", "other", None),
    ("IM-0115.jpeg", "image:IM-0115.jpeg", "other", None),
]


@pytest.mark.parametrize(("path", "patient", "source", "pathogen"), CASES)
def test_parse_name(path, patient, source, pathogen):
    parsed = parse_name(path)
    assert (parsed.patient, parsed.source, parsed.pathogen) == (patient, source, pathogen)
    assert parsed.known == (not patient.startswith("image:"))


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
