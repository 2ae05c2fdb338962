import json
from pathlib import Path

import pytest
from tfx.types import standard_artifacts

from components.baseline.component import Baseline
from components.baseline.node import baseline_node
from components.model_to_beat import NODE_ID, has_model
from schema.model_folder import comparison_key
from tests.components.baseline.models import saved_model


def model(folder: Path) -> standard_artifacts.Model:
    artifact = standard_artifacts.Model()
    artifact.uri = str(folder)
    return artifact


def run(tmp_path: Path, name: str) -> standard_artifacts.Model:
    out = model(tmp_path / name)
    candidate = model(tmp_path / "candidate")
    Baseline.test_call(candidate=candidate, model=out, push_to=str(tmp_path / "serving"))
    return out


def test_none_leaves_an_artifact_that_says_so(tmp_path: Path) -> None:
    saved_model(tmp_path / "candidate" / "Format-Serving")
    out = run(tmp_path, "out")
    assert out.get_int_custom_property("found") == 0
    assert [path.name for path in Path(out.uri).iterdir()] == ["found.json"]
    assert not has_model(out)


def test_one_is_copied_where_scorer_reads_it(tmp_path: Path) -> None:
    from tfx.utils import path_utils

    saved_model(tmp_path / "candidate" / "Format-Serving", body="new")
    saved_model(tmp_path / "serving" / "7", body="old")
    out = run(tmp_path, "out")
    assert out.get_int_custom_property("found") == 1
    assert out.get_string_custom_property("version") == "7"
    assert has_model(out)
    served = Path(path_utils.serving_model_path(out.uri))
    assert (served / "variables" / "variables.data-00000-of-00001").read_text() == "old"
    # A run that is repeated finds the same, and leaves nothing of before.
    assert json.loads((Path(run(tmp_path, "out").uri) / "found.json").read_text())["version"] == "7"


@pytest.mark.parametrize(
    ("files", "there"),
    [
        ({}, False),
        ({"found.json": '{"found": false}'}, False),
        ({"Format-Serving": ""}, True),
        ({"found.json": '{"found": true}'}, True),
    ],
)
def test_an_empty_artifact_is_no_baseline(
    files: dict[str, str], there: bool, tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert has_model(model(tmp_path)) is there
    assert not has_model(None)


@pytest.mark.parametrize(("source", "kind"), [("metadata", "Resolver"), ("pushed", "Baseline")])
def test_who_looks(source: str, kind: str) -> None:
    from tfx.types import channel_utils

    candidate = channel_utils.as_channel([standard_artifacts.Model()])
    node = baseline_node(source, candidate=candidate, push_to="/serving")  # type: ignore[arg-type]
    assert type(node).__name__ == kind
    assert node.id == NODE_ID
    assert node.outputs["model"].type is standard_artifacts.Model


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"name": "x"}', "no json", b"\xff"])
def test_invalid_facts_have_no_comparison_key(text: str | bytes) -> None:
    assert comparison_key(text) is None
