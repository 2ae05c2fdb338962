"""Messages about mistyped keys and values: where the error is, and what was meant."""

import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from core.models.backbones import BACKBONES
from pipeline.config import Config
from pipeline.config_file import load_config, monitor_options
from pipeline.engines.arguments import parse_engine
from pipeline.engines.options import ENGINES
from schema.errors import PneumoError, closest
from schema.labels import TASKS

SECTIONS = ("model", "training", "evaluation", "serving", "monitor", "card", "deploy", "beam")
KEYS = {
    section: sorted(getattr(Config(name="x"), section).__class__.model_fields)
    for section in SECTIONS
}
CHOICES = {
    "model.backbone": sorted(BACKBONES),
    "data.task": sorted(TASKS),
    "model.pooling": ["avg", "max", "both"],
    "model.fit": ["stretch", "pad", "crop"],
    "model.on_missing": ["stop", "random"],
    "training.class_weight": ["balanced", "none"],
    "engine": sorted(ENGINES),
}


@st.composite
def misspelt(draw: st.DrawFn, choices: list[str]) -> tuple[str, str]:
    """Draws (mistyped, meant): one letter too many, too few or wrong, two swapped, or case."""
    meant = draw(st.sampled_from([choice for choice in choices if len(choice) > 2]))
    at = draw(st.integers(0, len(meant) - 1))
    letter = draw(st.sampled_from(string.ascii_lowercase))
    kinds = {
        "insert": meant[:at] + letter + meant[at:],
        "delete": meant[:at] + meant[at + 1 :],
        "replace": meant[:at] + letter + meant[at + 1 :],
        "swap": meant[:at] + meant[at : at + 2][::-1] + meant[at + 2 :],
        "case": meant.swapcase().replace("_", "-"),
    }
    typed = draw(st.sampled_from(sorted(kinds.values())))
    assume(typed not in choices)
    # Another choice may be exactly as near, such as EfficientNetB1 for EfficientNetB.
    assume(sum(_one_edit(typed, choice) for choice in choices) == 1)
    return typed, meant


def _one_edit(typed: str, choice: str) -> bool:
    """Whether a choice is one edit or fewer away; an independent, slow definition."""
    a, b = ("".join(filter(str.isalnum, text.lower())) for text in (typed, choice))
    letters = set(b)
    near = {a, *(a[:i] + a[i + 1 :] for i in range(len(a)))}
    near |= {a[:i] + x + a[i:] for i in range(len(a) + 1) for x in letters}
    near |= {a[:i] + x + a[i + 1 :] for i in range(len(a)) for x in letters}
    near |= {a[:i] + a[i : i + 2][::-1] + a[i + 2 :] for i in range(len(a))}
    return b in near


def message(*overrides: str, source: str = "demo") -> str:
    with pytest.raises(PneumoError) as caught:
        load_config(source, overrides)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_the_nearest_key_is_named_with_the_option(data: st.DataObject) -> None:
    section = data.draw(st.sampled_from(SECTIONS))
    typed, meant = data.draw(misspelt(KEYS[section]))
    says = message(f"{section}.{typed}=1")
    assert f"did you mean {meant}?" in says
    assert says.startswith(f"--set {section}.{typed}=1: unknown key")


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_the_nearest_choice_is_named_with_the_option(data: st.DataObject) -> None:
    key = data.draw(st.sampled_from(sorted(CHOICES)))
    typed, meant = data.draw(misspelt(CHOICES[key]))
    says = message(f'{key}="{typed}"')
    assert f"did you mean {meant}?" in says
    assert says.startswith(f"--set {key}=")


@pytest.mark.parametrize(
    ("value", "choices", "meant"),
    [
        ("VGG61", BACKBONES, "VGG16"),
        ("EfficentNet3B", BACKBONES, "EfficientNetB3"),
        ("resnet-50", BACKBONES, "ResNet50"),
        ("inception", BACKBONES, "InceptionV3"),
        ("PNEUMONIE", ["NORMAL", "PNEUMONIA", "VIRUS"], "PNEUMONIA"),
        ("", BACKBONES, ""),
        ("qqqq", BACKBONES, ""),
        ("x", [], ""),
    ],
)
def test_closest(value: str, choices: Any, meant: str) -> None:
    assert closest(value, choices) == meant


YAML = """\
name: x
model:
  backbone: VGG16
  dropuot: 0.3
training:
  embedding: {}
  epochs: 3
  {{more}}
"""


@pytest.mark.parametrize(
    ("changes", "overrides", "says"),
    [
        ({}, (), ":4: unknown key model.dropuot; did you mean dropout?"),
        ({}, ("training.epochs=0",), ":4: unknown key model.dropuot"),
        (
            {"dropuot": "dropout"},
            ("training.epochs=0",),
            "--set training.epochs=0: training.epochs",
        ),
        (
            {"dropuot": "dropout", "VGG16": "VGG61"},
            (),
            ":3: model.backbone: unknown backbone 'VGG61'",
        ),
        ({"dropuot: 0.3": "batch_norm: yse"}, (), ":4: model.batch_norm: unknown value 'yse'"),
        ({"dropuot": "dropout", "{{more}}": "seeds: [0, x]"}, (), ":8: training.seeds.1"),
        (
            {"dropuot": "dropout", "training:": "evaluation: {abstain: 7}\ntraining:"},
            (),
            ":5: evaluation.refer",
        ),
        ({"name: x": "nmae: x", "dropuot": "dropout"}, (), ":1: key name is missing"),
    ],
)
def test_an_error_names_its_line_or_its_option(
    changes: dict[str, str], overrides: tuple[str, ...], says: str, tmp_path: Path
) -> None:
    text = YAML
    for old, new in changes.items():
        text = text.replace(old, new)
    file = tmp_path / "mine.yaml"
    file.write_text(text.replace("{{more}}", ""))
    found = message(*overrides, source=str(file))
    assert says in found
    assert found.startswith("--set" if says.startswith("--set") else str(file))


def test_the_override_that_brought_the_error_in_is_named() -> None:
    wrong = "training={embedding: {augment: {flip: true}}}"
    says = message("model.dropout=0.1", wrong, "training.epochs=3")
    assert says.startswith(f"--set {wrong}: ")
    assert message("backbone=VGG16").startswith(
        "--set backbone=VGG16: unknown key backbone; did you"
    )
    assert "did you mean model.backbone?" in message("backbone=VGG16")


def test_other_options_with_overrides_name_them_too() -> None:
    with pytest.raises(PneumoError, match=r"^--set monitor\.alhpa=1: unknown key monitor\.alhpa"):
        monitor_options({}, ["monitor.alhpa=1"])
    with pytest.raises(PneumoError, match="did you mean flink"):
        parse_engine("flnik")
