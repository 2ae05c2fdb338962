"""Names of our artifact types hold on Kubeflow: its compiler and its container read them."""

import subprocess
import sys

import pytest

import components

NAMES = sorted(components.ARTIFACTS)


@pytest.mark.parametrize("name", NAMES)
def test_the_type_name_leads_back_to_the_class(name: str) -> None:
    from tfx.orchestration.kubeflow.v2 import compiler_utils
    from tfx.utils import import_utils

    kind = getattr(components, name)
    assert f"components.{name}" == kind.TYPE_NAME
    assert import_utils.import_class_by_path(kind.TYPE_NAME) is kind
    assert f"title: {kind.TYPE_NAME}" in compiler_utils.get_artifact_schema(kind)


def test_every_type_of_ours_is_named() -> None:
    import importlib
    import pkgutil

    from tfx import types

    for module in pkgutil.iter_modules(components.__path__, "components."):
        if module.ispkg and importlib.util.find_spec(f"{module.name}.component"):
            importlib.import_module(f"{module.name}.component")
    ours = {
        kind
        for kind in types.Artifact.__subclasses__()
        if kind.__module__.split(".")[0] == "components"
    }
    assert {kind.__name__ for kind in ours} == set(NAMES)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="Nothing"):
        components.Nothing  # noqa: B018


def test_the_package_itself_imports_nothing_heavy() -> None:
    code = "import sys, components; print('tfx' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
