import traceback
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schema.errors import PneumoError, root_cause

ERRORS = (OSError, ValueError, ImportError, RuntimeError, PneumoError, AssertionError)
LOOKUPS = (KeyError, IndexError, AttributeError)
WORDS = st.text("abcdefg. '[]()", min_size=1, max_size=30).map(lambda text: f"m {text}".strip())


def raise_chain(messages: list[str], kinds: list[type[Exception]], links: list[str]) -> None:
    """Raises the last error; each follows from the one before it."""
    if len(messages) == 1:
        raise kinds[0](messages[0])
    try:
        raise_chain(messages[:-1], kinds[:-1], links[:-1])
    except Exception as error:
        if links[-1] == "cause":
            raise kinds[-1](messages[-1]) from error
        if links[-1] == "quoted":  # as Beam's runners do
            text = f"{messages[-1]}: {traceback.format_exc()}"
            raise kinds[-1](text) from None
        raise kinds[-1](messages[-1])  # noqa: B904  while it is handled


@settings(max_examples=100)
@given(st.data())
def test_the_first_error_of_a_chain_is_the_cause(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 5))
    kinds = [data.draw(st.sampled_from(ERRORS)) for _ in range(n)]
    messages = [data.draw(WORDS) for _ in range(n)]
    links = [data.draw(st.sampled_from(("cause", "handled", "quoted"))) for _ in range(n - 1)]
    lookup = data.draw(st.sampled_from((None, *LOOKUPS)))
    step = data.draw(st.sampled_from(("", " [while running 'Map(decode)']")))
    expected = kinds[0].__name__, messages[0]
    messages[0] += step
    try:
        try:
            if lookup:
                raise lookup("not in the cache")
        except LOOKUPS:
            raise_chain(messages, kinds, links)
        raise_chain(messages, kinds, links)
    except Exception:
        text = traceback.format_exc()
    assert root_cause(text) == expected


def test_a_message_of_several_lines() -> None:
    def fail() -> str:
        try:
            raise ValueError("\n first line\n  second line")
        except ValueError:
            return traceback.format_exc()

    assert root_cause(fail()) == ("ValueError", "first line")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("no traceback", None),
        ("Traceback (most recent call last):\n  cut off", None),
        ("Traceback (most recent call last):\n  File\nAssertionError", ("AssertionError", "")),
        ("Traceback (most recent call last):\n  File\nKeyError: 'a'", ("KeyError", "'a'")),
        (
            "java.lang.RuntimeException: Error received: Traceback (most recent call last):\n"
            "  File\na.b.InvalidArgumentError: bad\n\n\tat org.apache.beam.Worker(Worker.java)",
            ("InvalidArgumentError", "bad"),
        ),
    ],
)
def test_texts(text: str, expected: tuple[str, str] | None) -> None:
    assert root_cause(text) == expected


def test_a_python_process(tmp_path: Path) -> None:
    """The text that the interpreter prints, of a file that cannot be compiled."""
    import subprocess
    import sys

    (tmp_path / "broken.py").write_text("def (:\n")
    command = [sys.executable, "-c", "import broken"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert root_cause(done.stderr) == ("SyntaxError", "invalid syntax")
