"""The checks refuse what is wrong: each case breaks a good spec in one place."""

from collections.abc import Callable
from typing import Any

import pytest

from pipeline.kubeflow.compile import as_text
from pipeline.kubeflow.validate import check, load_with_kfp
from schema.errors import PneumoError
from tests.pipeline.kubeflow.compiled import container_of, spec_of

Break = Callable[[dict[str, Any]], Any]


def task(spec: dict[str, Any]) -> dict[str, Any]:
    return spec["root"]["dag"]["tasks"]["Trainer"]  # type: ignore[no-any-return]


WRONG: dict[str, Break] = {
    "unknown field": lambda s: s.update(surprise=1),
    "unknown field of a task": lambda s: task(s).update(retries=3),
    "a text for a number": lambda s: task(s)["retryPolicy"].update(maxRetryCount="many"),
    "another schema": lambda s: s.update(schemaVersion="2.0.0"),
    "no name": lambda s: s["pipelineInfo"].clear(),
    "no task": lambda s: s["root"]["dag"]["tasks"].clear(),
    "unknown resource": lambda s: container_of(s, "Trainer")["resources"].update(gpus=1),
}


@pytest.mark.parametrize("what", WRONG)
def test_the_schema_refuses(what: str) -> None:
    spec = spec_of("demo")
    check(spec)
    WRONG[what](spec)
    with pytest.raises(PneumoError) as raised:
        check(spec)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("text", ["", "a: [", "components: {}\n"])
def test_kfp_refuses_what_is_no_spec(text: str) -> None:
    with pytest.raises(PneumoError, match="kfp cannot load it"):
        load_with_kfp(text)
    with pytest.raises(PneumoError, match="surprise"):
        load_with_kfp(as_text({**spec_of("demo"), "surprise": 1}, "kubeflow"))
