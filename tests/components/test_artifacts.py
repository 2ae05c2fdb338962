"""Names of our artifact types hold on Kubeflow: its compiler and its container read them."""

import subprocess
import sys

import pytest

import components


@pytest.mark.parametrize("name", components.ARTIFACTS)
def test_the_type_name_leads_back_to_the_class(name: str) -> None:
    from tfx.orchestration.kubeflow.v2 import compiler_utils
    from tfx.utils import import_utils

    kind = getattr(components, name)
    assert f"components.{name}" == kind.TYPE_NAME
    assert import_utils.import_class_by_path(kind.TYPE_NAME) is kind
    assert f"title: {kind.TYPE_NAME}" in compiler_utils.get_artifact_schema(kind)


def test_every_type_is_exported() -> None:
    from tfx import types

    from components import artifacts

    found = {name for name, value in vars(artifacts).items() if isinstance(value, type)}
    assert found == set(components.ARTIFACTS)
    assert all(issubclass(getattr(artifacts, name), types.Artifact) for name in found)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="Nothing"):
        components.Nothing  # noqa: B018


def test_the_package_itself_imports_nothing_heavy() -> None:
    code = "import sys, components; print('tfx' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
