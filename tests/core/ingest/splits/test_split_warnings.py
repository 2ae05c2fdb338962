import pytest

from core.ingest.splits.split_warnings import split_warnings, unknown_patients_note

WANTED = ("train", "val", "test")
EVEN = {"train": 60, "val": 20, "test": 20}


def test_nothing_to_warn_of() -> None:
    assert split_warnings(EVEN, WANTED, 0, ("p", 50)) == []
    assert split_warnings({"train": 1}, ["train"], 0, ("p", 1)) == []


@pytest.mark.parametrize(
    ("images", "unknown", "most", "expected"),
    [
        (EVEN, 7, 10, ["7 of 100 images have no known patient"]),
        ({"train": 90, "test": 10}, 0, 10, ["no image in val:"]),
        ({"train": 90}, 0, 10, ["no image in val and test:"]),
        (EVEN, 0, 51, ["patient p has 51 of 100 images"]),
        (
            {"train": 40},
            1,
            39,
            ["1 of 40 images", "no image in val and test", "patient p has 39 of 40 images"],
        ),
    ],
)
def test_each_reason_has_a_line(
    images: dict[str, int], unknown: int, most: int, expected: list[str]
) -> None:
    lines = split_warnings(images, WANTED, unknown, ("p", most))
    assert len(lines) == len(expected)
    assert all(line.startswith(start) for line, start in zip(lines, expected, strict=True))
    assert not any("\n" in line for line in lines)


def test_the_note_names_what_the_search_cannot_see() -> None:
    assert unknown_patients_note(0, 5) == ""
    assert "cannot see whether one patient is in two splits" in unknown_patients_note(5, 5)
