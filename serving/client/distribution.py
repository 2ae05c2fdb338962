"""Builds `pneumo-client`: the client and what it imports, as a wheel with one top-level package.

    python -m serving.client.distribution FOLDER

The other packages of this project have common names (`schema`, `core`) and are not distributed.
"""

import ast
import importlib.metadata
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

NAME: Final = "pneumo_client"
_ROOT: Final = Path(__file__).resolve().parents[2]
_IMPORT: Final = re.compile(r"^(\s*(?:from|import) )((?:serving|schema|core)\b)", re.MULTILINE)
_DEPENDENCIES: Final = ("urllib3", "grpcio")
_DICOM: Final = ("numpy", "pillow", "pydicom", "pylibjpeg")
# tf_serving_pb2.py was generated for this version and refuses older ones.
_PROTOBUF: Final = "protobuf>=6.31.1"
_INIT: Final = f'''"""Client for TensorFlow Serving models of PneumoTFX; needs no TensorFlow."""

from {NAME}.serving.client import Client, ClientError, Image

__all__ = ["Client", "ClientError", "Image"]
'''
_PROJECT: Final = """[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "pneumo-client"
version = {version!r}
description = "Client for TensorFlow Serving models of PneumoTFX. Not a medical device."
license = "Apache-2.0"
requires-python = ">=3.11"
dependencies = {dependencies}
optional-dependencies.dicom = {dicom}

[tool.setuptools]
packages.find.include = ["{name}", "{name}.*"]
package-data."*" = ["py.typed"]
"""


def modules(start: str = "serving.client") -> dict[str, Path]:
    """Returns the modules that `start` imports at any depth, also inside functions.

    Returns:
      module name -> file, relative to the project.
    """
    found: dict[str, Path] = {}
    pending = [start]
    while pending:
        name = pending.pop()
        file = _file(name)
        if name in found or file is None:
            continue
        found[name] = file
        parts = name.split(".")
        pending += [".".join(parts[:n]) for n in range(1, len(parts))]
        for node in ast.walk(ast.parse((_ROOT / file).read_bytes())):
            if isinstance(node, ast.ImportFrom) and node.module:
                pending += [node.module, *(f"{node.module}.{x.name}" for x in node.names)]
            elif isinstance(node, ast.Import):
                pending += [x.name for x in node.names]
    return dict(sorted(found.items()))


def _file(module: str) -> Path | None:
    if not module.startswith(("serving", "schema", "core")):
        return None
    path = Path(*module.split("."))
    files = (path / "__init__.py", path.with_suffix(".py"))
    return next((file for file in files if (_ROOT / file).is_file()), None)


def write_source(folder: Path) -> None:
    """Writes the source tree of the distribution."""
    for file in modules().values():
        target = folder / NAME / file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(_IMPORT.sub(rf"\g<1>{NAME}.\g<2>", (_ROOT / file).read_text()))
    (folder / NAME / "__init__.py").write_text(_INIT)
    (folder / NAME / "py.typed").touch()
    (folder / "LICENSE").write_bytes((_ROOT / "LICENSE").read_bytes())
    project = _PROJECT.format(
        name=NAME,
        version=importlib.metadata.version("pneumo-tfx"),
        dependencies=[*_requirements(_DEPENDENCIES), _PROTOBUF],
        dicom=_requirements(_DICOM),
    )
    (folder / "pyproject.toml").write_text(project)


def _requirements(names: tuple[str, ...]) -> list[str]:
    """Returns the ranges of setup.py for some packages."""
    ranges: dict[str, str] = {}
    for one in importlib.metadata.requires("pneumo-tfx") or ():
        requirement = one.partition(";")[0].strip()
        ranges[re.split(r"[<>=!~\[ ]", requirement)[0]] = requirement
    return [ranges[name] for name in names]


def main() -> None:
    """Builds the wheel into the folder of the first argument."""
    if len(sys.argv) != 2:
        sys.exit("usage: python -m serving.client.distribution FOLDER")
    with tempfile.TemporaryDirectory() as folder:
        write_source(Path(folder))
        build = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
        command = [sys.executable, *build, "--wheel-dir", sys.argv[1], folder]
        sys.exit(subprocess.run(command, check=False).returncode)


if __name__ == "__main__":
    main()
