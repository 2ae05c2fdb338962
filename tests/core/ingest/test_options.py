from datetime import date

import pytest
from pydantic import ValidationError

from core.ingest.options import IngestOptions


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"layout": "flat"}, "layout"),
        ({"class_map": {"A": "sick"}}, "use one of"),
        ({"class_map": {0: "normal"}}, "YAML reads a key as 0, not as text.*quote it"),
        ({"class_map": {False: "normal"}}, "YAML reads a key as false"),
        ({"class_map": {None: "normal"}}, "YAML reads a key as none"),
        ({"class_map": {date(2024, 1, 31): "normal"}}, "YAML reads a key as 2024-01-31"),
        ({"class_map": {"A": "normal", "a": "virus"}}, "'a' is named twice"),
        ({"layout": "manifest"}, "needs the path of a CSV"),
        ({"layout": "class", "manifest": "a.csv"}, "layout can't be class"),
        ({"source_column": "hospital"}, "set manifest to a CSV"),
        ({"val_fraction": 0.5, "test_fraction": 0.5}, "must be below 1"),
        ({"val_fraction": -0.1}, "val_fraction"),
        ({"val_fraction": float("nan")}, "val_fraction"),
        ({"images_per_shard": 0}, "images_per_shard"),
        ({"max_pixels": 10**9}, "max_pixels"),
        ({"sead": 1}, "sead"),
        ({"patient_salt": "**********"}, "is masked"),
        ({"dicom_secondary": "perhaps"}, "dicom_secondary"),
    ],
)
def test_invalid_options(values, message):
    with pytest.raises(ValidationError, match=message):
        IngestOptions(**values)


def test_frozen():
    with pytest.raises(ValidationError):
        IngestOptions().seed = 3


def test_class_map_extends_the_known_folders():
    classes = IngestOptions(class_map={"Gesund": "normal", "PNEUMONIA": "bacteria"}).classes()
    assert classes == {
        "normal": "normal",
        "pneumonia": "bacteria",
        "bacteria": "bacteria",
        "virus": "virus",
        "gesund": "normal",
    }


def test_yaml_number_in_scientific_notation():
    assert IngestOptions(max_pixels=100e6).max_pixels == 100_000_000


def test_salt_is_not_in_dumps():
    options = IngestOptions(patient_salt="tarnwick")
    assert "tarnwick" not in f"{options!r} {options.model_dump()} {options.model_dump_json()}"
    assert options.patient_salt.get_secret_value() == "tarnwick"
