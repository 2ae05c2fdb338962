import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.patients.placeholders import is_placeholder

PLACEHOLDERS = [
    *("", "nan", "none", "null", "NA", "n/a", "#N/A", "<NA>", "n.a.", "unknown", "unk", "missing"),
    *("anonymous", "anon", "anonymized", "de-identified", "removed", "patient", "patient id"),
    *("no name", "not available", "Unknown^Patient", "0", "000", "0.0", "-1", "-99.0", "xxx"),
    *("-", "?", "...", "unbekannt", "\uff4e\uff41\uff4e"),
]
IDENTITIES = [
    *("1", "01", "P-001", "anonymous 7", "patient 12", "x", "Nan^Wei", "10", "None-3", "0a"),
    *("S03044", "00000001", "2-1", "null42"),
]


@pytest.mark.parametrize("text", PLACEHOLDERS)
def test_placeholder(text: str) -> None:
    assert is_placeholder(text)


@pytest.mark.parametrize("text", IDENTITIES)
def test_identity(text: str) -> None:
    assert not is_placeholder(text)


@settings(max_examples=100)
@given(
    st.sampled_from(PLACEHOLDERS),
    st.text(" \t\u00a0", max_size=3),
    st.sampled_from([str.upper, str.lower, str.title, str.swapcase]),
)
def test_case_and_spaces_do_not_matter(text: str, space: str, case: object) -> None:
    assert is_placeholder(space + case(text) + space)  # type: ignore[operator]


@settings(max_examples=100)
@given(st.integers(1, 10**12), st.sampled_from(["", "P", "pat-", "sub_", "anon"]))
def test_numbers_are_identities(number: int, prefix: str) -> None:
    assert not is_placeholder(f"{prefix}{number}")
