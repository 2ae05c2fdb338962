"""`pneumo compare` as a user calls it."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline.commands.compare import command, names, run_options
from pipeline.commands.run import command as run
from schema.errors import PneumoError
from tests.support.finished_runs import FinishedRuns
from tests.support.runs.processes import pneumo

SMALL = """
name: {name}
data: {{task: {task}}}
model: {{backbone: InceptionV3, weights: random, image_size: 75}}
training: {{epochs: 2}}
evaluation: {{resamples: 100, gate: {{auc: {{min: 0.0}}}}}}
"""


def config(folder: Path, name: str, task: str = "binary", more: str = "") -> Path:
    file = folder / f"{name}.yaml"
    file.write_text(SMALL.format(name=name, task=task) + more)
    return file


def test_duplicate_names_and_different_splits_are_rejected(tmp_path: Path) -> None:
    a, b, other = (config(tmp_path, name) for name in ("a", "b", "other"))
    assert list(names([str(a), str(b)], ())) == ["a", "b"]
    b.write_text(b.read_text().replace("{task: binary}", "{ingest: {seed: 9}}"))
    with pytest.raises(PneumoError, match="b and a split the data differently"):
        names([str(a), str(b)], ())
    other.write_text(a.read_text())
    with pytest.raises(PneumoError, match="both named 'a'"):
        names([str(a), str(other)], ())


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "name the configurations"),
        (["xception"], "--data"),
        (["xception", "--data", "nowhere"], "nowhere does not exist"),
        (["no-such"], "unknown configuration 'no-such'"),
        (["--only-page"], "no configuration has finished"),
    ],
)
def test_invalid_calls_run_nothing(arguments: list[str], line: str, tmp_path: Path) -> None:
    work = tmp_path / "work"
    done = CliRunner().invoke(command, [*arguments, "--work", str(work)])
    assert isinstance(done.exception, PneumoError)
    assert line in str(done.exception)
    assert not work.exists()


def test_only_page_without_configurations(tmp_path: Path) -> None:
    add_run = FinishedRuns(tmp_path)
    add_run("one", seed=1)
    work = add_run("two", seed=2)
    done = CliRunner().invoke(command, ["--only-page", "--work", str(work), "--resamples", "100"])
    assert done.exit_code == 0
    assert str(work / "compare.html") in done.stdout
    costs = json.loads((work / "compare.json").read_text())["costs"]
    assert {row["name"] for row in costs} == {"one", "two"}


@pytest.mark.parametrize(
    "given",
    [
        [],
        ["--manifest", "a b.csv", "--on-leak", "fail"],
        ["--boxes", "x.csv", "--class-map", "No Finding=normal", "--class-map", "A=B=virus"],
    ],
)
def test_options_that_describe_images_reach_the_runs(given: list[str]) -> None:
    names = ("manifest", "boxes", "on_leak", "class_map")
    described = command.make_context("compare", ["x", *given]).params
    passed = run_options({name: described[name] for name in names[:3]}, described["class_map"])
    received = run.make_context("run", ["--data", "d", *passed]).params
    assert {name: received[name] for name in names} == {name: described[name] for name in names}


def test_the_error_of_a_manifest_is_that_of_the_run(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    call = ("--data", tmp_path / "images", "--manifest", tmp_path / "gone.csv")
    done = pneumo("compare", config(tmp_path, "x"), *call, "--work", tmp_path / "w", check=False)
    assert done.returncode == 2  # no run finished, so there is no page
    assert re.search(r"x failed: .*gone\.csv", done.stderr)


@pytest.mark.slow  # three runs
def test_real_runs_share_artifacts_and_survive_a_failed_one(tmp_path: Path) -> None:
    from core.phantom.dataset import write_phantoms

    data, work = tmp_path / "phantoms", tmp_path / "work"
    write_phantoms(data, 96, 1, size=128)
    three = config(tmp_path, "three", "three_class")
    broken = config(tmp_path, "broken")
    broken.write_text(broken.read_text().replace("weights: random", "weights: gone.h5"))
    two = config(tmp_path, "two")
    call = ("compare", two, broken, three, "--data", data, "--work", work, "--resamples", "100")
    done = pneumo(*call, check=False)
    assert done.returncode == 1
    assert "broken failed: weight file gone.h5" in done.stderr
    numbers = json.loads((work / "compare.json").read_text())
    assert [one["name"] for one in numbers["failed"]] == ["broken"]
    costs = {row["name"]: row for row in numbers["costs"]}
    assert set(costs) == {"two", "three"}
    shared = {node["name"] for node in costs["three"]["nodes"] if node["cached"]}
    assert {"Transform", "Embedder"} <= shared and "Trainer" not in shared
    for row in costs.values():
        assert row["seconds"] >= row["spent"] - 1  # with what the cached nodes took
        assert row["peak_rss_mib"] > 200 and row["size_mib"] > 1
    first, _ = numbers["questions"]
    assert {row["name"] for row in first["leaderboard"]} == {"two", "three"}
    assert numbers["notices"][0].startswith("SYNTHETIC")
    for name in ("two", "three"):
        (version,) = (work / "serving" / name).iterdir()
        assert (version / "saved_model.pb").is_file()
    assert "data:image/jpeg" in (work / "compare.html").read_text() or not first["disputed"]
