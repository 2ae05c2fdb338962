"""Runs the Pusher on files of an artificial model."""

import json
from pathlib import Path

from tfx.types import standard_artifacts

from components.pusher.executor import AtomicPusherExecutor


def push(
    tmp_path: Path,
    blessed: bool,
    infra: bool | None = None,
    graph: bytes = b"graph",
    base: str = "",
) -> standard_artifacts.PushedModel:
    saved = tmp_path / "model" / "Format-Serving"
    (saved / "variables").mkdir(parents=True, exist_ok=True)
    (saved / "saved_model.pb").write_bytes(graph)
    (saved / "variables" / "variables.index").write_bytes(b"index")
    model = standard_artifacts.Model()
    model.uri = str(tmp_path / "model")
    blessing = standard_artifacts.ModelBlessing()
    blessing.uri = str(tmp_path / "blessing")
    blessing.set_int_custom_property("blessed", int(blessed))
    pushed = standard_artifacts.PushedModel()
    pushed.uri = str(tmp_path / "pushed")
    destination = {"filesystem": {"base_directory": base or str(tmp_path / "serving")}}
    inputs = {"model": [model], "model_blessing": [blessing]}
    if infra is not None:
        tried = standard_artifacts.InfraBlessing()
        tried.uri = str(tmp_path / "infra")
        tried.set_int_custom_property("blessed", int(infra))
        inputs["infra_blessing"] = [tried]
    AtomicPusherExecutor().Do(
        inputs,
        {"pushed_model": [pushed]},
        {"push_destination": json.dumps(destination)},
    )
    return pushed


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
