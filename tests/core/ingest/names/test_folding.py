"""Names are equal whatever their case, Unicode form and encoding."""

import os
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.ingest.names.folding import fold, fold_label

FORMS = st.sampled_from(["NFC", "NFD"])


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=12), FORMS, FORMS)
@settings(max_examples=100)
def test_forms_and_case_are_equal(text: str, one: str, other: str) -> None:
    normalize = unicodedata.normalize
    assert fold(normalize(one, text)) == fold(normalize(other, text))
    assert fold(normalize(one, text.casefold())) == fold(normalize(other, text))
    assert fold(fold(text)) == fold(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (" Neumonía ", unicodedata.normalize("NFD", "NEUMONÍA")),
        ("Größe", "GRÖSSE"),
        ("Müller", os.fsdecode("Müller".encode("cp1252"))),
        ("각", unicodedata.normalize("NFD", "각")),
    ],
)
def test_equal_names(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@pytest.mark.parametrize(
    ("label", "expected"),
    [("1.0", "1"), ("0,0", "0"), (" 1 ", "1"), ("-1.00", "-1"), ("1.5", "1.5"), ("No", "no")],
)
def test_whole_numbers_as_labels(label: str, expected: str) -> None:
    assert fold_label(label) == expected
