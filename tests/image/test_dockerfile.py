"""The reader of Dockerfiles."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image.dockerfile import (
    DockerfileError,
    ignore_patterns,
    ignored,
    instructions,
    needed,
    stages,
    substitute,
)

VALUES = {"A": "one", "EMPTY": "", "PATH": "/bin"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("plain", "plain"),
        ("$A", "one"),
        ("${A}/x", "one/x"),
        ("x$A.txt", "xone.txt"),
        ("${MISSING}", ""),
        ("${MISSING:-other}", "other"),
        ("${EMPTY:-other}", "other"),
        ("${A:-other}", "one"),
        ("${A:+yes}", "yes"),
        ("${MISSING:+yes}", ""),
        ("${MISSING:-${A}}", "one"),
        ("/x:${PATH}", "/x:/bin"),
        (r"\$A", "$A"),
    ],
)
def test_substitute(text: str, expected: str) -> None:
    assert substitute(text, VALUES) == expected


@given(st.text(alphabet=st.characters(exclude_characters="$\\")))
def test_text_without_variables_stays(text: str) -> None:
    assert substitute(text, VALUES) == text


def test_instructions_join_lines_and_pass_over_comments() -> None:
    found = list(instructions("# head\nFROM a AS b\n\nRUN one \\\n# between\n && two\nUSER 1\n"))
    assert [(one.name, one.value, one.line) for one in found] == [
        ("FROM", "a AS b", 2),
        ("RUN", "one  && two", 4),
        ("USER", "1", 7),
    ]


def test_flags_words_and_pairs() -> None:
    text = 'COPY --from=x --chmod=644 a b /c/\nENV A=1 B="two words" C=\nCMD ["a", "b c"]\n'
    copy, env, cmd = instructions(text)
    assert copy.flags == {"from": "x", "chmod": "644"}
    assert copy.words() == ["a", "b", "/c/"]
    assert env.pairs() == {"A": "1", "B": "two words", "C": ""}
    assert cmd.words() == ["a", "b c"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no FROM"),
        ("RUN true\n", "line 1: RUN before the first FROM"),
        ("FROM a\nADD x /\n", "line 2: ADD is not known"),
        ("FROM a\nONBUILD RUN x\n", "line 2: ONBUILD"),
        ("FROM a\nRUN true \\\n", "line 2: the file ends"),
        ("FROM a\nRUN <<EOF\nEOF\n", "line 2: here-documents"),
    ],
)
def test_what_is_not_understood_is_refused(text: str, message: str) -> None:
    with pytest.raises(DockerfileError, match=message):
        stages(text)


def test_stages_and_what_a_target_needs() -> None:
    text = (
        "ARG BASE=deb:1\nARG V=2\nFROM ${BASE} AS one\nFROM one AS two\nRUN x\nFROM scratch AS no\n"
        "FROM one as last\nARG V\nCOPY --from=two /a /b\n"
    )
    found = stages(text, {})
    assert [(stage.name, stage.base) for stage in found] == [
        ("one", "deb:1"), ("two", "one"), ("no", "scratch"), ("last", "one"),
    ]  # fmt: skip
    assert found[-1].instructions[0].value == "V=2"
    assert stages(text, {"BASE": "deb:2"})[0].base == "deb:2"
    assert [stage.name for stage in needed(found, "last")] == ["one", "two", "last"]
    with pytest.raises(DockerfileError, match="no stage lost"):
        needed(found, "lost")


@pytest.mark.parametrize(
    ("path", "out"),
    [
        ("README.md", True),
        ("setup.py", False),
        ("schema/labels.py", False),
        ("schema/deep/x.txt", False),
        ("schema/__pycache__/x.pyc", True),
        ("schema/x.pyc", True),
        ("image/a.py", False),
        ("image/a.txt", True),
        ("image/deep/a.py", True),
    ],
)
def test_ignored(path: str, out: bool) -> None:
    text = "# head\n*\n\n!setup.py\n!schema\n!image/*.py\n**/__pycache__\n**/*.pyc\n"
    assert ignored(path, ignore_patterns(text)) is out
